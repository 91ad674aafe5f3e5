"""Epsilon-greedy for lists: a share of all places goes to arms taken at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_jobs.bandits.contract import F64, I64, Bandit, Belief


@dataclass(frozen=True)
class EpsilonGreedy(Bandit):
    """An arm keeps its mean, or, with probability epsilon, takes one as a random arm of its list has it.

    An arm so moved is equally likely to land anywhere, so about epsilon of the places of every stretch of the list go
    to arms taken at random (Watkins, 1989, for one place).

    Attributes:
        epsilon: 0 … 1.
    """

    epsilon: float = 0.1

    def draw(self, belief: Belief, uniform: F64, *, lists: I64) -> F64:
        order = np.lexsort((belief.mean, lists))
        size = np.bincount(lists)
        start = np.cumsum(size) - size
        moved = np.flatnonzero(uniform < self.epsilon)
        own = lists[moved]
        # Below epsilon, what is left of the uniform number is uniform again. Between two means, so that none is equal.
        steps = uniform[moved] / self.epsilon * (size[own] - 1)
        low = order[start[own] + steps.astype(np.int64)]
        high = order[start[own] + np.ceil(steps).astype(np.int64)]
        result = belief.mean.copy()
        result[moved] += (belief.mean[high] - belief.mean[low]) * (steps % 1.0) + belief.mean[low] - belief.mean[moved]
        return result
