"""Places of clicks in lists of which only a sample of the unclicked items was kept.

A kept row stands for 1 / sampling rate items of its list, so the expected place of a click is 1 plus the weights of the
rows above it, ties half. Metrics of the sample as it is would flatter everybody, and not alike (Krichene and Rendle,
"On Sampled Metrics for Item Recommendation", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Placed:
    """Attributes, all (clicks,): row of each click; expected place; share of unclicked items beaten (NaN: none)."""

    row: I64
    place: I64
    beaten: F64


def place_clicks(label: F64, score: F64, visit: I64, weight: F64) -> Placed:
    """Places every click among the rows of its visit.

    Args:
        label: (n,) 0 or 1.
        score: (n,) higher is better.
        visit: (n,) whose rows make one list.
        weight: (n,) items a row stands for.

    Returns:
        The clicks, ordered by visit.
    """
    _, group = np.unique(visit, return_inverse=True)
    order = np.lexsort((-score, group))
    y, s, w, g = label[order], score[order], weight[order], group[order]
    if not y.size:
        return Placed(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    starts = np.flatnonzero(np.r_[True, (g[1:] != g[:-1]) | (s[1:] != s[:-1])])
    block = np.repeat(np.arange(starts.size), np.diff(np.r_[starts, y.size]))
    first = np.searchsorted(g, np.arange(int(g[-1]) + 1))

    def above_and_level(values: F64) -> tuple[F64, F64]:
        """Of each row: the total of values scored higher in its visit, and of those scored the same."""
        before = np.cumsum(values) - values
        in_block = np.add.reduceat(values, starts)
        return (before[starts] - before[first][g[starts]])[block], in_block[block]

    above, level = above_and_level(w)
    lost, drawn = above_and_level(w * (1.0 - y))
    others = np.bincount(g, w * (1.0 - y))[g]
    clicked = np.flatnonzero(y == 1.0)
    place = 1.0 + above + 0.5 * (level - w)
    with np.errstate(invalid="ignore", divide="ignore"):
        beaten = 1.0 - (lost + 0.5 * drawn) / others
    beaten = np.where(others > 0, beaten, np.nan)
    return Placed(order[clicked], np.maximum(np.rint(place[clicked]), 1).astype(np.int64), beaten[clicked])
