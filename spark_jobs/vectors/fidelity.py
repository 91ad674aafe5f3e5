"""How much of a vector its code still tells, on vectors that the compressor has not learnt from."""

from __future__ import annotations

import numpy as np

from spark_jobs.vectors.compressor import Compressor
from spark_jobs.vectors.method import Floats

NEAR = 10
MOST = 2000  # vectors whose neighbours are compared
RIDGE = 1e-6


def fidelity(compressor: Compressor, known: Floats, held: Floats) -> dict[str, float | None]:
    """Figures of a compressor on held-out vectors; 1 is all, 0 nothing.

    Args:
        compressor: fitted on `known`.
        known: vectors (n, d), finite.
        held: other vectors (m, d), finite.

    Returns:
        `explained`: share of the held-out vectors' squared distance from the middle that a linear map of the code gives
        back (least squares on `known`): every method is read in the same way. `own`: the same by the method's own way
        back; None where it has none. `neighbours`: share of a vector's ten nearest held-out ones, by cosine, that are
        among the ten nearest of its code.
    """
    codes, held_codes = compressor.transform(known), compressor.transform(held)
    middle = known.mean(axis=0)
    own = compressor.restored(held_codes)
    return {
        "explained": _explained(held, middle + _linear(codes, known - middle, held_codes), middle),
        "own": None if own is None else _explained(held, own, middle),
        "neighbours": _kept(held[:MOST], held_codes[:MOST]),
    }


def _linear(codes: Floats, vectors: Floats, held_codes: Floats) -> Floats:
    """Least squares from codes to vectors; a trace of ridge, since columns of a code may be constant."""
    square = codes.T.astype(np.float64) @ codes
    square[np.diag_indices_from(square)] += RIDGE * max(np.trace(square), 1e-12)
    return np.asarray(held_codes @ np.linalg.solve(square, codes.T @ vectors), dtype=np.float32)


def _explained(vectors: Floats, found: Floats, middle: Floats) -> float:
    total = float(np.square(vectors - middle).sum(dtype=np.float64))
    return 1.0 - float(np.square(vectors - found).sum(dtype=np.float64)) / total if total else 1.0


def _kept(vectors: Floats, codes: Floats) -> float:
    k = min(NEAR, len(vectors) - 1)
    if k < 1:
        return 1.0
    both = zip(_nearest(vectors, k), _nearest(codes, k), strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in both]))


def _nearest(rows: Floats, k: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    return np.argpartition(-alike, k - 1, axis=1)[:, :k].astype(np.int64)
