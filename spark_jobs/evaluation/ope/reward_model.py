"""The reward model of DM and DR: shrunken means of (context, item, place), each request judged by the other folds.

m(place), then m(item, place) = (Σ r + a · m(place)) / (n + a), then m(context, item, place) the same way on top: a mean
of few rows leans on the coarser one. A request's own fold (by the hash of its id) is left out, so that no row is
predicted from itself (cross-fitting: Chernozhukov et al., 2018). Only sums are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Fold = NDArray[np.integer[Any]]


class RewardModel:
    """Fitted once on the log, asked for any (context, item, place).

    Args:
        levels: (rows,) keys from the coarsest to the finest level; of an item never shown any key absent will do.
        fold: (rows,) fold of each row's request.
        reward: (rows,).
        folds: how many.
        strength: rows that the coarser mean counts as.
    """

    def __init__(
        self, levels: tuple[I64, ...], fold: Fold, reward: F64, *, folds: int = 5, strength: float = 10.0
    ) -> None:
        self.strength = strength
        self._tables: list[tuple[I64, F64, F64]] = []
        for keys in levels:
            known, at = np.unique(keys, return_inverse=True)
            cell = at * folds + fold
            size = known.size * folds
            count = np.bincount(cell, minlength=size).reshape(-1, folds)
            total = np.bincount(cell, reward, size).reshape(-1, folds)
            others = (count.sum(1, keepdims=True) - count, total.sum(1, keepdims=True) - total)
            self._tables.append((known, others[0].astype(np.float64), others[1]))
        self._mean = float(reward.mean())

    def predict(self, levels: tuple[I64, ...], fold: Fold) -> F64:
        """(n,) expected rewards by all folds but the given one; an absent key falls to its coarser level."""
        mean = np.full(fold.shape, self._mean)
        for keys, (known, count, total) in zip(levels, self._tables, strict=True):
            at = np.minimum(np.searchsorted(known, keys), known.size - 1)
            here = known[at] == keys
            n, s = np.where(here, count[at, fold], 0.0), np.where(here, total[at, fold], 0.0)
            mean = (s + self.strength * mean) / (n + self.strength)
        return mean
