"""Do predicted probabilities mean what they say?

Rows are impressions, each standing for `weight` of them (1 / sampling rate).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segments.errors import ContractBroken

F64 = NDArray[np.float64]
TINY = 1e-12


def ece(label: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None, *, bins: int = 15) -> float:
    """Expected calibration error relative to the click rate, over bins of equal weight.

    Σ_b (W_b / W) · |ȳ_b - p̄_b| / ȳ: 0 is perfect, 0.05 means that predictions are off by 5 % of the click rate. Rows
    are sorted by p; a row that straddles the border of two bins goes where its middle lies, and rows of one p stay
    together, so that the order of tied rows cannot change the figure. NaN without a click.

    Args:
        label: (n,) 0 or 1.
        p: (n,) predicted probabilities.
        weight: (n,) impressions a row stands for.
        bins: how many.
    """
    y, q, w = _columns(label, p, weight)
    total = w.sum()
    clicks = float((w * y).sum())
    if clicks <= 0:
        return float("nan")
    values, index = np.unique(q, return_inverse=True)
    index = index.reshape(-1)
    mass = np.bincount(index, w, values.size)
    middle = np.cumsum(mass) - 0.5 * mass
    bin_of = np.minimum((middle / total * bins).astype(np.int64), bins - 1)[index]
    gap = np.bincount(bin_of, w * y, bins) - np.bincount(bin_of, w * q, bins)
    return float(np.abs(gap).sum() / clicks)


def mean_ratio(label: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean predicted over mean observed: above 1 promises too much. NaN without a click."""
    y, q, w = _columns(label, p, weight)
    clicks = float((w * y).sum())
    return float((w * q).sum()) / clicks if clicks > 0 else float("nan")


def logloss(label: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Weighted mean of -log of the probability given to what happened; p is kept 1e-12 away from 0 and 1."""
    y, q, w = _columns(label, p, weight)
    total = w.sum()
    if total <= 0:
        return float("nan")
    q = np.clip(q, TINY, 1.0 - TINY)
    return float(-np.sum(w * (y * np.log(q) + (1.0 - y) * np.log1p(-q))) / total)


def _columns(label: ArrayLike, p: ArrayLike, weight: ArrayLike | None) -> tuple[F64, F64, F64]:
    y = np.asarray(label, dtype=np.float64)
    q = np.asarray(p, dtype=np.float64)
    w = np.ones_like(y) if weight is None else np.asarray(weight, dtype=np.float64)
    if not (y.ndim == 1 and y.shape == q.shape == w.shape):
        raise ContractBroken(f"label, p and weight must be columns of one length, not {y.shape}, {q.shape}, {w.shape}")
    if not ((q >= 0) & (q <= 1)).all():
        raise ContractBroken("a probability is outside 0 … 1")
    if ((y != 0) & (y != 1)).any() or (w < 0).any():
        raise ContractBroken("labels must be 0 or 1, and weights not negative")
    return y, q, w
