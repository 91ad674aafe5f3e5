"""Examples as arrays: what training reads, whatever table they come from.

Columns of the `examples` table become hashed rows and plain numbers once; batches are then plain tensor
indexing (a loader that collates row by row is some thirty times slower). Item vectors are kept once an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import torch
from numpy.typing import NDArray

from segments.errors import ContractBroken
from segments.hashing import hash_strings, stir
from spark_jobs.models.encoding import Encoder, Floats, Rows
from spark_jobs.models.ranker import Batch

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """n labelled rows.

    Attributes:
        rows: hashed embedding rows (n, C), before unseen ones are replaced.
        numbers: numbers (n, N), NaN where missing, before they become normal scores.
        item: line of `vectors` of each row's item, (n,); line 0 is "no vector".
        vectors: item vectors (m, W).
        label: 0 or 1, (n,).
        rate: probability with which the row was sampled, (n,), over 0, at most 1.
        group: visit (page view) of each row, (n,).
        user: user of each row, (n,).
        time: microseconds since 1970 of the visit's beginning, (n,).
        tasks: labels of further tasks, 0 or 1, NaN where not known, (n, T); None without any.
        weight: how much each row counts in the loss, (n,), 0 or more; None: all alike.
    """

    rows: Rows
    numbers: Floats
    item: Longs
    vectors: Floats
    label: Doubles
    rate: Doubles
    group: Longs
    user: Longs
    time: Longs
    tasks: Floats | None = None
    weight: Doubles | None = None

    def __post_init__(self) -> None:
        n = len(self.label)
        for name in ("rows", "numbers", "item", "rate", "group", "user", "time"):
            if len(getattr(self, name)) != n:
                raise ContractBroken(f"examples: {name} has {len(getattr(self, name))} rows, labels {n}")
        for name, given in (("tasks", self.tasks), ("weight", self.weight)):
            if given is not None and len(given) != n:
                raise ContractBroken(f"examples: {name} has {len(given)} rows, labels {n}")
        if n and not (np.isin(self.label, (0.0, 1.0)).all()):
            raise ContractBroken("examples: labels must be 0 or 1")
        if n and not ((self.rate > 0) & (self.rate <= 1)).all():
            raise ContractBroken("examples: sampling rates must lie in (0, 1]")
        if self.weight is not None and not ((self.weight >= 0) & np.isfinite(self.weight)).all():
            raise ContractBroken("examples: weights must be finite, 0 or more")

    def __len__(self) -> int:
        return len(self.label)

    def where(self, chosen: NDArray[np.bool_] | Longs) -> Examples:
        """The chosen rows; vectors are shared."""
        names = ("rows", "numbers", "item", "label", "rate", "group", "user", "time", "tasks", "weight")
        columns: dict[str, Any] = {name: getattr(self, name) for name in names}
        picked: dict[str, Any] = {name: None if c is None else c[chosen] for name, c in columns.items()}
        return replace(self, **picked)

    def offset(self) -> Floats:
        """What sampling added to each row's log odds: −ln of its visit's rate of unclicked rows, (n,).

        All clicks are kept and the unclicked rows of a visit with probability r, so the sample's odds are the true odds
        divided by r (King and Zeng, "Logistic Regression in Rare Events Data", 2001). A visit without unclicked rows
        takes the mean over all.
        """
        if not len(self):
            return np.zeros(0, dtype=np.float32)
        _, visit = np.unique(self.group, return_inverse=True)
        unclicked = self.label == 0
        logs = -np.log(self.rate)
        count = np.bincount(visit, weights=unclicked)
        total = np.bincount(visit, weights=logs * unclicked)
        overall = total.sum() / max(count.sum(), 1.0)
        return np.where(count > 0, total / np.maximum(count, 1.0), overall)[visit].astype(np.float32)


class Tensors:
    """Examples ready for the network: unseen ids replaced, numbers normalised, in the machine's memory once."""

    def __init__(self, examples: Examples, encoder: Encoder, *, neutral_context: bool = False) -> None:
        rows = encoder.known(examples.rows)
        numbers = encoder.normalised(examples.numbers)
        if neutral_context:
            context = encoder.roles("context")
            rows[:, context] = encoder.neutral[context]
            numbers[:, [field.role == "context" for field in encoder.numeric]] = 0.0
        self.rows = torch.from_numpy(rows)
        self.numbers = torch.from_numpy(numbers)
        self.item = torch.from_numpy(np.asarray(examples.item, dtype=np.int64))
        self.vectors = torch.from_numpy(np.ascontiguousarray(examples.vectors, dtype=np.float32))

    def __len__(self) -> int:
        return self.rows.shape[0]

    def batch(self, index: torch.Tensor | slice) -> Batch:
        """The rows of an index tensor or a slice."""
        if isinstance(index, slice):
            return Batch(self.rows[index], self.numbers[index], self.vectors[self.item[index]])
        item = self.item.index_select(0, index)
        return Batch(
            self.rows.index_select(0, index),
            self.numbers.index_select(0, index),
            self.vectors.index_select(0, item),
        )


def read_examples(
    folder: str,
    encoder: Encoder,
    *,
    item_kind: str | None = None,
    vectors: pa.Table | None = None,
    tasks: Sequence[str] = (),
) -> Examples:
    """Examples of one kind of item from a folder of Parquet files.

    Args:
        folder: what `Warehouse.folder("examples", run)` names.
        item_kind: `product` or `banner`; None reads all.
        vectors: the `item_features` table, for its item_id and vector columns.
        tasks: further tasks; the column of each is `label_<task>`.
    """
    table = read_table(folder, encoder, item_kind=item_kind, tasks=tasks)
    return examples_of(table, encoder, vectors=vectors, tasks=tasks)


def read_table(folder: str, encoder: Encoder, *, item_kind: str | None = None, tasks: Sequence[str] = ()) -> pa.Table:
    """The columns of `examples` that an encoder and the tasks need, strings as dictionaries.

    Raises:
        ContractBroken: a column of the contract is missing.
    """
    names = [field.name for field in (*encoder.categorical, *encoder.numeric)]
    strings = ["request_id", "user_id", "item_id", *(field.name for field in encoder.categorical)]
    reading = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=strings))
    dataset = ds.dataset(folder.removeprefix("file:"), format=reading)
    base = ["request_id", "request_at", "user_id", "item_id", "label", "sampling_rate"]
    base += [f"label_{task}" for task in tasks]
    absent = [name for name in base if name not in dataset.schema.names]
    if absent:
        raise ContractBroken(f"examples lack the columns {', '.join(absent)}", where=folder)
    columns = [*base, *(name for name in names if name in dataset.schema.names and name not in base)]
    chosen = None if item_kind is None else ds.field("item_kind") == item_kind
    return dataset.to_table(columns=columns, filter=chosen)


def examples_of(
    table: pa.Table, encoder: Encoder, *, vectors: pa.Table | None = None, tasks: Sequence[str] = ()
) -> Examples:
    """Examples of a table in memory with the columns of the `examples` contract.

    Rows are put in the order of a hash of (request, item), so that training does not depend on how the table was
    partitioned when it was written.
    """
    lines, item = item_lines(table, encoder, vectors)
    group = hashes(table.column("request_id"))
    found = Examples(
        rows=encoder.rows_of(table),
        numbers=encoder.numbers_of(table),
        item=item,
        vectors=lines,
        label=np.asarray(table.column("label").to_numpy(), dtype=np.float64),
        rate=np.asarray(table.column("sampling_rate").to_numpy(), dtype=np.float64),
        group=group,
        user=hashes(table.column("user_id")),
        time=np.asarray(table.column("request_at").cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()),
        tasks=task_labels(table, tasks),
    )
    key = stir(group.view(np.uint64) ^ stir(hashes(table.column("item_id")).view(np.uint64)))
    order = np.argsort(key, kind="stable")
    if (key[order[1:]] == key[order[:-1]]).any():
        # An item shown twice in a visit: what the rows hold decides, and rows that hold the same may swap.
        order = np.lexsort((found.item, found.label, *found.numbers.T, *found.rows.T, key))
    return found.where(order)


def task_labels(table: pa.Table, tasks: Sequence[str]) -> Floats | None:
    """Labels (n, T) float32 of the columns `label_<task>`, NaN where null; None without tasks.

    Raises:
        ContractBroken: a column is missing, or holds something other than 0, 1 and null.
    """
    if not tasks:
        return None
    columns = []
    for name in (f"label_{task}" for task in tasks):
        if name not in table.column_names:
            raise ContractBroken(
                f"column {name} is missing", hint="build_examples writes what the recipe's model asks for"
            )
        values = np.asarray(table.column(name).cast(pa.float32()).to_numpy(), dtype=np.float32)
        if not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            raise ContractBroken(f"column {name} is not a label of 0 and 1", where=name)
        columns.append(values)
    return np.stack(columns, axis=1)


def item_lines(table: pa.Table, encoder: Encoder, vectors: pa.Table | None) -> tuple[Floats, Longs]:
    """Vectors (m + 1, W), line 0 all zeros, and each row's line; rows of unknown items have line 0."""
    width = sum(field.width for field in encoder.vectors)
    if vectors is None or not width:
        return np.zeros((1, width), dtype=np.float32), np.zeros(table.num_rows, dtype=np.int64)
    own = encoder.vectors_of(vectors)
    ids = vectors.column("item_id").cast(pa.string()).combine_chunks()
    parts: list[Longs] = []
    for chunk in table.column("item_id").chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else pc.dictionary_encode(chunk)
        found = pc.index_in(encoded.dictionary.cast(pa.string()), value_set=ids).fill_null(-1)
        parts.append(np.asarray(found, dtype=np.int64)[np.asarray(encoded.indices, dtype=np.int64)] + 1)
    item = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    return np.concatenate([np.zeros((1, width), dtype=np.float32), own]), item


def hashes(column: pa.ChunkedArray) -> Longs:
    """`hash64` of each value as a signed number, distinct values hashed once."""
    memory: dict[str, int] = {}
    parts: list[Longs] = []
    for chunk in column.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else pc.dictionary_encode(chunk)
        values = [str(value) for value in encoded.dictionary.to_pylist()]
        fresh = [value for value in values if value not in memory]
        memory.update(zip(fresh, hash_strings(fresh).view(np.int64).tolist(), strict=True))
        lookup = np.array([memory[value] for value in values], dtype=np.int64)
        parts.append(lookup[np.asarray(encoded.indices, dtype=np.int64)])
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
