"""Area under the ROC curve, pooled and within groups.

AUC is the probability that a clicked row has a higher score than a row without a click, ties counting half
(Mann and Whitney, 1947). gAUC is the AUC within each group (visit), averaged with the group's clicks as weights: it
cannot be raised without changing the order inside a group, pooled AUC can.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segments.errors import ContractBroken

F64 = NDArray[np.float64]


def auc(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Pooled AUC of rows, weighted; NaN when there is no click or nothing but clicks.

    Args:
        label: (n,) 0 or 1.
        score: (n,) higher is better.
        weight: (n,) impressions a row stands for, such as 1 / sampling rate; 1 if not given.

    >>> auc([1, 0, 0, 1], [0.9, 0.1, 0.5, 0.5])
    0.875
    """
    y, s, w = _columns(label, score, weight)
    return float(_auc_sorted(*_by_score(y, s, w)))


def gauc(label: ArrayLike, score: ArrayLike, group: ArrayLike, weight: ArrayLike | None = None) -> float:
    """AUC within each group, weighted by the group's clicks (their weights); NaN when no group has both labels.

    Groups without a click, or with clicks only, say nothing about order and are left out.

    Args:
        label: (n,) 0 or 1.
        score: (n,) higher is better.
        group: (n,) the visit of each row, any type that sorts.
        weight: (n,) as in `auc`.

    >>> gauc([1, 0, 1, 0], [0.2, 0.1, 0.8, 0.9], [7, 7, 8, 8])
    0.5
    """
    y, s, w = _columns(label, score, weight)
    _, index = np.unique(np.asarray(group), return_inverse=True)
    index = index.reshape(-1)
    if index.shape != y.shape:
        raise ContractBroken(f"{index.size} groups for {y.size} rows")
    order = np.lexsort((s, index))
    y, s, w, g = y[order], s[order], w[order], index[order]
    groups = int(g[-1]) + 1 if g.size else 0
    positive, negative = w * y, w * (1.0 - y)
    clicks = np.bincount(g, positive, groups)
    others = np.bincount(g, negative, groups)
    # One tie block per (group, score): each click wins over the negatives below its block and half of those inside.
    starts = np.flatnonzero(np.r_[True, (g[1:] != g[:-1]) | (s[1:] != s[:-1])]) if g.size else np.zeros(0, np.int64)
    block_group = g[starts]
    block_positive, block_negative = (np.add.reduceat(v, starts) if g.size else v for v in (positive, negative))
    running = np.cumsum(block_negative) - block_negative
    # Of the running sum only what lies inside the block's own group counts; the first block of a group is its base.
    first = np.searchsorted(block_group, np.arange(groups))
    below = running - running[first][block_group]
    wins = np.bincount(block_group, block_positive * (below + 0.5 * block_negative), groups)
    usable = (clicks > 0) & (others > 0)
    if not usable.any():
        return float("nan")
    # AUC_g * clicks_g = wins_g / others_g
    return float(np.sum(wins[usable] / others[usable]) / np.sum(clicks[usable]))


def _columns(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None) -> tuple[F64, F64, F64]:
    y = np.asarray(label, dtype=np.float64)
    s = np.asarray(score, dtype=np.float64)
    w = np.ones_like(y) if weight is None else np.asarray(weight, dtype=np.float64)
    if not (y.ndim == 1 and y.shape == s.shape == w.shape):
        raise ContractBroken(
            f"label, score and weight must be columns of one length, not {y.shape}, {s.shape}, {w.shape}"
        )
    if np.isnan(s).any():
        raise ContractBroken("a score is NaN", hint="give items without a score the lowest one")
    if ((y != 0) & (y != 1)).any() or (w < 0).any():
        raise ContractBroken("labels must be 0 or 1, and weights not negative")
    return y, s, w


def _by_score(y: F64, s: F64, w: F64) -> tuple[F64, F64, F64]:
    order = np.argsort(s, kind="stable")
    return y[order], s[order], w[order]


def _auc_sorted(y: F64, s: F64, w: F64) -> float:
    if not y.size:
        return float("nan")
    starts = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    positive = np.add.reduceat(w * y, starts)
    negative = np.add.reduceat(w * (1.0 - y), starts)
    pairs = positive.sum() * negative.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(negative) - negative
    return float(np.sum(positive * (below + 0.5 * negative)) / pairs)
