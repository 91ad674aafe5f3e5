"""No exploration: the list is sorted by what is believed."""

from __future__ import annotations

import numpy as np

from spark_jobs.bandits.contract import F64, Bandit, Belief


class Greedy(Bandit):
    """Each arm's number is its mean."""

    explores = False

    def draw(self, belief: Belief, uniform: F64) -> F64:
        return belief.mean.copy()

    def replicates(self, belief: Belief, generator: np.random.Generator, *, count: int) -> F64:
        return np.tile(belief.mean, (count, 1))
