"""Pooled AUC over every (visit, item) pair, exact, without writing the pairs down; and its spread over users.

A pair's score depends on (segment, item) alone, so pairs are counted in cells. The spread comes from each user's
influence: with F0(s) the share of unclicked pairs scored below s (ties half) and F1 that of clicked ones, user u adds
Σ_{its clicks} (F0(s) - AUC) / P + Σ_{its other pairs} (1 - F1(s) - AUC) / N (DeLong et al. 1988; clustered: Obuchowski
1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.visits import Visits, top_items

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Pooled:
    """What one grid makes of the visits.

    Attributes:
        auc: over all pairs.
        influence: (users,) of each user on it.
        shown: (visits, k) items on top, -1 where the list is shorter.
    """

    auc: float
    influence: F64
    shown: I64


def pooled_auc(visits: Visits, grid: F64, segment_of: I64, *, visit_user: I64, users: int, k: int) -> Pooled:
    """Pooled AUC, each user's influence on it, and what every visit was shown on top.

    Args:
        visits: the lists and clicks.
        grid: (segments, items) scores, -inf where there is none.
        segment_of: (visits,) row of the grid that serves each visit.
        visit_user: (visits,) user of each visit.
        users: how many.
        k: how many items are shown on top.
    """
    pairs = np.zeros(grid.shape)
    clicks = np.zeros(grid.shape)
    groups = list(visits.groups(segment_of))
    shown = np.full((visits.list_of.size, k), -1, dtype=np.int64)
    for segment, items, count, rows, members in groups:
        pairs[segment, items] += count
        np.add.at(clicks[segment], items[visits.click_at[rows]], 1.0)
        best = items[top_items(grid[segment, items], k)]
        shown[members, : best.size] = best
    others = pairs - clicks
    used = pairs > 0
    positive, negative = clicks[used], others[used]
    total_positive, total_negative = positive.sum(), negative.sum()
    if not total_positive or not total_negative:
        return Pooled(float("nan"), np.zeros(users), shown)
    below_negative = np.zeros(grid.shape)
    below_positive = np.zeros(grid.shape)
    below_negative[used] = _share_below(grid[used], negative) / total_negative
    below_positive[used] = _share_below(grid[used], positive) / total_positive
    value = float((clicks * below_negative).sum() / total_positive)
    influence = np.zeros(users)
    for segment, items, _, rows, members in groups:
        lost = 1.0 - below_positive[segment, items]
        at = visits.click_at[rows]
        user = visit_user[visits.click_visit[rows]]
        np.add.at(influence, visit_user[members], (lost.sum() - items.size * value) / total_negative)
        np.add.at(influence, user, -(lost[at] - value) / total_negative)
        np.add.at(influence, user, (below_negative[segment, items[at]] - value) / total_positive)
    return Pooled(value, influence, shown)


def _share_below(score: F64, weight: F64) -> F64:
    """(n,) total weight of the rows scored lower, those scored the same counting half."""
    values, inverse = np.unique(score, return_inverse=True)
    mass = np.bincount(inverse.reshape(-1), weight, values.size)
    return np.asarray((np.cumsum(mass) - 0.5 * mass)[inverse.reshape(-1)])
