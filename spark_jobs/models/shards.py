"""Examples shuffled onto disk: what is too much for memory, as files of which any one fits.

A visit belongs to one shard, chosen by its hash, so every shard is a fair sample of all visits and holds them whole.
The columns are the encoder's (hashed rows, plain numbers), ready for training, as Arrow streams appended to each
shard's file; the table they come from is read once, batch by batch. What a shard holds does not depend on how that
table was partitioned.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from segments.hashing import hash64, stir
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import COLUMNS, Added, Examples, Items, Keys, columns_of, keyed, of_kind, ordered
from spark_jobs.models.weight_files import write_durably

MANIFEST = "shards.json"
FORMAT = 1
SALT = 97


class Shards:
    """A folder of shards; made by `make_shards`."""

    def __init__(self, folder: Path, items: Items) -> None:
        self.folder, self.items = folder, items
        self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))

    def __len__(self) -> int:
        return int(self.manifest["shards"])

    def columns(self, shard: int, *names: str) -> Iterator[dict[str, NDArray[Any]]]:
        """Some columns of a shard, piece by piece; read whole, but kept no longer than a piece."""
        path = _file(self.folder, shard)
        if not path.exists():
            return
        with pa.OSFile(str(path)) as file:
            size, present = file.size(), self.manifest["columns"]
            reading = pa.ipc.IpcReadOptions(included_fields=[at for at, name in enumerate(present) if name in names])
            while file.tell() < size:
                for batch in pa.ipc.open_stream(file, options=reading):
                    yield {name: _array(batch.column(name)) for name in names if name in batch.schema.names}

    def read(self, shard: int) -> Examples:
        """A shard's examples, ordered by the hash of their request and item."""
        pieces = list(self.columns(shard, *COLUMNS, "key"))
        if not pieces:
            return _empty(self.items, self.manifest)
        whole: dict[str, Any] = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        key: Keys = whole.pop("key").view(np.uint64)
        return ordered(Examples(**whole, vectors=self.items.lines), key)


def make_shards(
    source: str,
    folder: Path,
    encoder: Encoder,
    *,
    rows_a_shard: int,
    before: int,
    item_kind: str | None = None,
    vectors: pa.Table | None = None,
    tasks: Sequence[str] = (),
    added: Added | None = None,
) -> Shards:
    """Reads a folder of Parquet once and writes shards of it; shards of the same files and fields are used again.

    Args:
        source: the folder with the columns of the `examples` contract.
        folder: where; what lies there is replaced.
        encoder: of the fields; need not be fitted.
        rows_a_shard: how many fit in memory (on average), three times over.
        before: microseconds since 1970; what is not before it is left out.
        item_kind: `product` or `banner`; None reads all.
        vectors: the `item_features` table.
        tasks: further tasks.
        added: gives a table of rows further columns that fields read; it must give the same ones for the same files.

    Raises:
        ContractBroken: a column of the contract is missing or wrong.
    """
    dataset, columns = columns_of(source, encoder, tasks=tasks)
    assert isinstance(dataset, ds.FileSystemDataset)
    files = [[path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns] for path in sorted(dataset.files)]
    of = {
        "files": files, "schema": f"{hash64(encoder.schema.model_dump_json()):016x}", "kind": item_kind,
        "tasks": list(tasks), "rows_a_shard": rows_a_shard, "before": before,
    }  # fmt: skip
    items = Items(encoder, vectors)
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if found.get("of") == of and found.get("format") == FORMAT:
        return Shards(folder, items)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chosen = of_kind(item_kind)
    count = max(1, math.ceil(dataset.count_rows(filter=chosen) / rows_a_shard))
    rows, digest, waiting, held, present = 0, 0, _nothing(count), 0, ["key"]
    for batch in dataset.to_batches(columns=columns, filter=chosen, batch_readahead=1, fragment_readahead=1):
        if not batch.num_rows:
            continue
        read = pa.Table.from_batches([batch])
        examples, key = keyed(added(read) if added else read, encoder, items, tasks=tasks)
        kept = examples.time < before
        examples, key = examples.where(kept), key[kept]
        table = _table(examples, key)
        present = table.column_names
        digest = (digest + int(stir(key ^ _bits(examples)).sum(dtype=np.uint64))) % 2**64
        shard = (stir(examples.group.view(np.uint64), salt=SALT) % np.uint64(count)).astype(np.int64)
        order = np.argsort(shard, kind="stable")
        borders = np.searchsorted(shard[order], np.arange(count + 1))
        table = table.take(pa.array(order))
        for place in range(count):
            waiting[place].append(table.slice(borders[place], borders[place + 1] - borders[place]))
        rows, held = rows + len(examples), held + len(examples)
        if held >= rows_a_shard:
            _append(folder, waiting)
            waiting, held = _nothing(count), 0
    _append(folder, waiting)
    manifest = {
        "format": FORMAT, "of": of, "shards": count, "rows": rows, "digest": f"{digest:016x}", "columns": present,
        "categorical": len(encoder.categorical), "numeric": len(encoder.numeric),
    }  # fmt: skip
    write_durably(folder / MANIFEST, json.dumps(manifest).encode())
    return Shards(folder, items)


def _bits(examples: Examples) -> Keys:
    """Something of every column that training reads, a number a row; its sum does not know the order."""
    found = examples.label.view(np.uint64) ^ stir(examples.rate.view(np.uint64))
    for place, column in enumerate((*examples.rows.T, *examples.numbers.T)):
        found = stir(found ^ column.copy().view(np.uint32), salt=place)
    return found


def _table(examples: Examples, key: Keys) -> pa.Table:
    columns: dict[str, pa.Array] = {"key": pa.array(key.view(np.int64))}
    for name in COLUMNS:
        values = getattr(examples, name)
        if values is not None:
            columns[name] = _column(values)
    return pa.table(columns)


def _column(values: NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    if not values.shape[1]:
        return pa.array(np.zeros(len(values), dtype=np.int8))  # a list of no numbers has no length of its own
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _array(column: pa.Array) -> NDArray[Any]:
    if pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(len(column), column.type.list_size)
    if column.type == pa.int8():
        return np.zeros((len(column), 0), dtype=np.float32)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _nothing(count: int) -> list[list[pa.Table]]:
    return [[] for _ in range(count)]


def _append(folder: Path, waiting: list[list[pa.Table]]) -> None:
    for place, tables in enumerate(waiting):
        table = pa.concat_tables(tables).combine_chunks() if tables else None
        if table is None or not table.num_rows:
            continue
        # A stream of its own, appended: no file stays open however many shards there are.
        with (
            _file(folder, place).open("ab") as file,
            pa.ipc.new_stream(file, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer,
        ):
            writer.write_table(table)


def _file(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.arrows"


def _empty(items: Items, manifest: Mapping[str, Any]) -> Examples:
    sizes = {"rows": int(manifest["categorical"]), "numbers": int(manifest["numeric"])}
    kinds = {"rows": np.int32, "numbers": np.float32, "label": np.float64, "rate": np.float64}
    names = [name for name in COLUMNS if name not in {"tasks", "weight"}]
    columns: dict[str, Any] = {
        name: np.zeros((0, sizes[name]) if name in sizes else 0, dtype=kinds.get(name, np.int64)) for name in names
    }
    return Examples(**columns, vectors=items.lines)
