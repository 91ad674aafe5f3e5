"""Thompson sampling: sort by one draw from what is believed of each arm.

W. R. Thompson, Biometrika 25 (1933); Chapelle and Li, NIPS 2011. The draw is the inverse distribution function of the
arm's Beta posterior at a uniform number, so an arm whose posterior has not changed keeps its draw as long as it keeps
its uniform number, and one whose posterior moved a little moves a little.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from spark_jobs.bandits.contract import F64, Bandit, Belief


class Thompson(Bandit):
    """Each arm's number is a draw from its Beta posterior."""

    explores = True

    def draw(self, belief: Belief, uniform: F64) -> F64:
        return np.asarray(betaincinv(belief.alpha, belief.beta, uniform), dtype=np.float64)

    def replicates(self, belief: Belief, generator: np.random.Generator, *, count: int) -> F64:
        return generator.beta(belief.alpha, belief.beta, size=(count, belief.mean.size))
