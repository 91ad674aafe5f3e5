"""Files of vectors, Parquet or NumPy: `item_id` and `vector`; an item with several vectors has several rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from segments.errors import ContractBroken, UsageError
from segments.whole import whole
from spark_jobs.vectors.method import Floats
from spark_jobs.vectors.settings import Pooling
from spark_jobs.vectors.several import pooled, rows_of

ID, VECTOR = "item_id", "vector"


def load_vectors(path: Path, *, pool: Pooling = "mean", each: int = 0) -> tuple[list[str], Floats]:
    """Item ids in order of the alphabet, and one vector each, (n, d), NaN where an item has none.

    Args:
        path: Parquet (file or folder) with the columns `item_id` and `vector`; `.npz` with arrays of those names; or
            `.npy`, a matrix whose items are called by their line: 0, 1, ….
        pool: what becomes of an item's several vectors, in several rows or end to end.
        each: numbers in one vector, where several stand end to end.

    Raises:
        UsageError: no such file, or of no known kind.
        ContractBroken: a column is missing, or vectors of different widths.
    """
    ids, column = _read(path)
    rows, counts = rows_of(column, each=each)
    names, item = np.unique(np.asarray(ids, dtype=str), return_inverse=True)
    rows = rows[np.argsort(np.repeat(item, counts), kind="stable")]
    totals = np.bincount(item, weights=counts, minlength=len(names)).astype(np.int64)
    return [str(name) for name in names], pooled(rows, totals, pool)


def save_vectors(path: Path, ids: list[str], vectors: Floats) -> None:
    """Parquet of `item_id` and `vector`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as fresh:
        pq.write_table(pa.table({ID: pa.array(ids, pa.string()), VECTOR: lists(vectors)}), fresh)


def lists(vectors: Floats) -> pa.ListArray:
    """The rows (n, w) of a matrix as a column of lists."""
    n, width = vectors.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel()))


def _read(path: Path) -> tuple[list[str], pa.Array | pa.ChunkedArray]:
    if not path.exists():
        raise UsageError("no such file", where=str(path))
    if path.suffix in {".npy", ".npz"}:
        return _numpy(path)
    try:
        table = ds.dataset(path, format="parquet").to_table(columns=[ID, VECTOR])
    except (pa.ArrowInvalid, OSError) as error:
        told = " ".join(str(error).split())[:200]
        raise ContractBroken(f"cannot read item_id and vector: {told}", where=str(path)) from error
    return table.column(ID).cast(pa.string()).to_pylist(), table.column(VECTOR)


def _numpy(path: Path) -> tuple[list[str], pa.ListArray]:
    try:
        found = np.load(path, allow_pickle=False)
        matrix = np.asarray(found if path.suffix == ".npy" else found[VECTOR], dtype=np.float32)
        ids = range(len(matrix)) if path.suffix == ".npy" else found[ID]
    except (OSError, ValueError, KeyError) as error:
        raise ContractBroken(f"cannot read the vectors: {error}", where=str(path)) from error
    if matrix.ndim != 2 or len(ids) != len(matrix):
        raise ContractBroken(f"a matrix of vectors and an id for each line are wanted, not {matrix.shape}",
                             where=str(path))  # fmt: skip
    return [str(name) for name in ids], lists(matrix)
