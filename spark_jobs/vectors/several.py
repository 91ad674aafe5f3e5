"""Items with several vectors (images of a product, tokens of a text), pooled into one by mean or max."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segments.errors import ContractBroken
from spark_jobs.vectors.method import Floats
from spark_jobs.vectors.settings import Pooling

Longs = NDArray[np.int64]


def pooled(rows: Floats, counts: Longs, how: Pooling) -> Floats:
    """One vector an item, number by number over those of its vectors that have it; NaN where none has.

    Args:
        rows: all vectors, those of an item together, (m, d).
        counts: vectors of each item, (n,), adding up to m.
        how: mean, or the largest.
    """
    found = np.full((len(counts), rows.shape[1]), np.nan, dtype=np.float32)
    some = np.flatnonzero(counts)
    if not some.size:
        return found
    starts = (np.cumsum(counts) - counts)[some]
    finite = np.isfinite(rows)
    if how == "max":
        most = np.maximum.reduceat(np.where(finite, rows, -np.inf), starts, axis=0)
        found[some] = np.where(np.isfinite(most), most, np.nan)
        return found
    total = np.add.reduceat(np.where(finite, rows, 0.0).astype(np.float64), starts, axis=0)
    known = np.add.reduceat(finite.astype(np.int64), starts, axis=0)
    found[some] = np.where(known > 0, total / np.maximum(known, 1), np.nan)
    return found


def rows_of(column: pa.Array | pa.ChunkedArray, *, each: int = 0) -> tuple[Floats, Longs]:
    """The vectors (m, each) of a list column, and how many each row of it holds, (n,): 0 where it is null or empty.

    Args:
        column: lists of numbers; several vectors of an item stand end to end.
        each: numbers in one vector; 0: a row is one vector.

    Raises:
        ContractBroken: rows of different widths, or no multiples of `each`.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.list_(pa.float32()))
    lengths = np.asarray(column.value_lengths().fill_null(0), dtype=np.int64)
    width = each or int(lengths.max(initial=0))
    odd = lengths % width if each else np.where(lengths > 0, lengths - width, 0)
    if odd.any():
        told = ", ".join(map(str, np.unique(lengths[lengths > 0])[:4]))
        raise ContractBroken(
            f"vectors of {told} numbers in one column" if not each else f"vectors of {told} numbers are not of {each}",
            hint="`each` says how many numbers one vector has, where items have several",
        )
    values = np.asarray(column.drop_null().flatten().fill_null(np.nan), dtype=np.float32)
    return (values.reshape(-1, width), lengths // width) if width else (values.reshape(0, 0), lengths)


def one_each(column: pa.Array | pa.ChunkedArray, how: Pooling, *, each: int = 0) -> Floats:
    """Vectors (n, d) of a list column, one a row: NaN where it has none."""
    return pooled(*rows_of(column, each=each), how)
