"""Visit metrics from placed clicks, as sums that a bootstrap over users can weigh again.

Every metric is a ratio Σ numerator / Σ denominator over users, so that a resampled metric is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class UserSums:
    """Attributes: numerator, denominator: (users,) whose totals' ratio is the metric."""

    numerator: F64
    denominator: F64

    @property
    def value(self) -> float:
        total = float(self.denominator.sum())
        return float(self.numerator.sum()) / total if total > 0 else float("nan")


def gauc_sums(beaten: F64, click_user: I64, users: int) -> UserSums:
    """Click-weighted AUC within visits: the mean over clicks of the share of unclicked items they beat."""
    usable = ~np.isnan(beaten)
    return UserSums(_sums(click_user[usable], beaten[usable], users), _sums(click_user[usable], usable[usable], users))


def visit_sums(place: I64, click_visit: I64, visit_user: I64, *, k: int, users: int) -> dict[str, UserSums]:
    """`hit_ratio@k`, `recall@k`, `ndcg@k` and `mrr@k`, means over visits with clicks.

    Args:
        place: (clicks,) 1-based place of each click.
        click_visit: (clicks,) visit of each click, ascending.
        visit_user: (visits,) user of each visit.
        k: cut.
        users: how many.
    """
    visits, index = np.unique(click_visit, return_inverse=True)
    user = visit_user[visits]
    clicks = np.bincount(index, minlength=visits.size)
    inside = place <= k
    hits = np.bincount(index, inside, visits.size)
    gain = np.bincount(index, np.where(inside, 1.0 / np.log2(place + 1.0), 0.0), visits.size)
    first = np.full(visits.size, np.inf)
    np.minimum.at(first, index, place)
    ideal = np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1.0))
    per_visit = {
        f"hit_ratio@{k}": (hits > 0) * 1.0,
        f"recall@{k}": hits / np.maximum(clicks, 1),
        f"ndcg@{k}": gain / ideal[np.minimum(np.maximum(clicks, 1), k) - 1],
        f"mrr@{k}": np.where(first <= k, 1.0 / first, 0.0),
    }
    denominator = _sums(user, np.ones(user.size), users)
    return {name: UserSums(_sums(user, values, users), denominator) for name, values in per_visit.items()}


def _sums(index: I64, values: NDArray[Any], size: int) -> F64:
    return np.asarray(np.bincount(index, values, size), dtype=np.float64)
