"""Examples as arrays: what training reads, whatever table they come from.

Columns of the `examples` table become hashed rows and plain numbers once; batches are then plain tensor
indexing (a loader that collates row by row is some thirty times slower). Item vectors are kept once an item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
Keys = NDArray[np.uint64]
Added = Callable[[pa.Table], pa.Table]
# What a row has of its own; `vectors` are shared.
COLUMNS = ("rows", "numbers", "item", "label", "rate", "group", "user", "time", "tasks", "weight")
WEIGHT = "sample_weight"  # optional column: how much a row counts in the loss


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
        columns: dict[str, Any] = {name: getattr(self, name) for name in COLUMNS}
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


def joined(parts: Sequence[Examples]) -> Examples:
    """Several, one after the other; they share their vectors. A column that one of them lacks is left out."""
    columns = {name: [getattr(part, name) for part in parts] for name in COLUMNS}
    whole: dict[str, Any] = {
        name: None if any(part is None for part in column) else np.concatenate(column)
        for name, column in columns.items()
    }
    return replace(parts[0], **whole)


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
    added: Added | None = None,
) -> Examples:
    """Examples of one kind of item from a folder of Parquet files.

    Args:
        folder: what `Warehouse.folder("examples", run)` names.
        item_kind: `product` or `banner`; None reads all.
        vectors: the `item_features` table, for its item_id and vector columns.
        tasks: further tasks; the column of each is `label_<task>`.
        added: gives a table of rows further columns that fields read.
    """
    table = read_table(folder, encoder, item_kind=item_kind, tasks=tasks)
    return examples_of(added(table) if added else table, encoder, vectors=vectors, tasks=tasks)


def read_table(folder: str, encoder: Encoder, *, item_kind: str | None = None, tasks: Sequence[str] = ()) -> pa.Table:
    """The columns of `examples` that an encoder and the tasks need, strings as dictionaries.

    Raises:
        ContractBroken: a column of the contract is missing.
    """
    dataset, columns = columns_of(folder, encoder, tasks=tasks)
    return dataset.to_table(columns=columns, filter=of_kind(item_kind))


def columns_of(folder: str, encoder: Encoder, *, tasks: Sequence[str] = ()) -> tuple[ds.Dataset, list[str]]:
    """The data set of a folder, and the columns of it that are read; raises as `read_table`."""
    names = [field.name for field in (*encoder.categorical, *encoder.numeric)]
    strings = ["request_id", "user_id", "item_id", *(field.name for field in encoder.categorical)]
    reading = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=strings))
    dataset = ds.dataset(folder.removeprefix("file:"), format=reading)
    base = ["request_id", "request_at", "user_id", "item_id", "label", "sampling_rate"]
    base += [f"label_{task}" for task in tasks]
    absent = [name for name in base if name not in dataset.schema.names]
    if absent:
        raise ContractBroken(f"examples lack the columns {', '.join(absent)}", where=folder)
    wanted = [name for name in (*names, WEIGHT) if name in dataset.schema.names and name not in base]
    return dataset, [*base, *dict.fromkeys(wanted)]


def of_kind(item_kind: str | None) -> ds.Expression | None:
    """The filter that leaves one kind of item; None leaves all."""
    return None if item_kind is None else ds.field("item_kind") == item_kind


def examples_of(
    table: pa.Table, encoder: Encoder, *, vectors: pa.Table | None = None, tasks: Sequence[str] = ()
) -> Examples:
    """Examples of a table in memory with the columns of the `examples` contract.

    Rows are put in the order of a hash of (request, item), so that training does not depend on how the table was
    partitioned when it was written.
    """
    return ordered(*keyed(table, encoder, Items(encoder, vectors), tasks=tasks))


class Items:
    """Vectors of items, one line each; line 0 is zeros, for items without one."""

    def __init__(self, encoder: Encoder, vectors: pa.Table | None) -> None:
        width = sum(field.width for field in encoder.vectors)
        self.lines: Floats = np.zeros((1, width), dtype=np.float32)
        self.ids: pa.Array | None = None
        if vectors is not None and width:
            self.lines = np.concatenate([self.lines, encoder.vectors_of(vectors)])
            self.ids = vectors.column("item_id").cast(pa.string()).combine_chunks()

    def places(self, column: pa.ChunkedArray) -> Longs:
        """The line of each item id, (n,)."""
        parts: list[Longs] = [np.zeros(0, dtype=np.int64)]
        for chunk in column.chunks:
            if self.ids is None:
                parts.append(np.zeros(len(chunk), dtype=np.int64))
                continue
            encoded = chunk if pa.types.is_dictionary(chunk.type) else pc.dictionary_encode(chunk)
            found = pc.index_in(encoded.dictionary.cast(pa.string()), value_set=self.ids).fill_null(-1)
            parts.append(np.asarray(found, dtype=np.int64)[np.asarray(encoded.indices, dtype=np.int64)] + 1)
        return np.concatenate(parts)


def keyed(table: pa.Table, encoder: Encoder, items: Items, *, tasks: Sequence[str] = ()) -> tuple[Examples, Keys]:
    """Examples as the table has them, and the hash of each row's request and item, (n,)."""
    group = hashes(table.column("request_id"))
    weight = table.column(WEIGHT).cast(pa.float64()).to_numpy() if WEIGHT in table.column_names else None
    found = Examples(
        rows=encoder.rows_of(table),
        numbers=encoder.numbers_of(table),
        item=items.places(table.column("item_id")),
        vectors=items.lines,
        label=np.asarray(table.column("label").to_numpy(), dtype=np.float64),
        rate=np.asarray(table.column("sampling_rate").to_numpy(), dtype=np.float64),
        group=group,
        user=hashes(table.column("user_id")),
        time=np.asarray(table.column("request_at").cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()),
        tasks=task_labels(table, tasks),
        weight=None if weight is None else np.asarray(weight, dtype=np.float64),
    )
    return found, stir(group.view(np.uint64) ^ stir(hashes(table.column("item_id")).view(np.uint64)))


def ordered(found: Examples, key: Keys) -> Examples:
    """Examples in the order of their keys, whatever order they came in."""
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
