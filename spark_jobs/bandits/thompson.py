"""Thompson sampling: sort by one draw from what is believed of each arm.

W. R. Thompson, Biometrika 25 (1933); Chapelle and Li, NIPS 2011. The draw is the quantile of the arm's Beta posterior
at a uniform number, so an arm whose posterior has not changed keeps its draw as long as it keeps its uniform number,
and one whose posterior moved a little moves a little.
"""

from __future__ import annotations

import numpy as np

from spark_jobs.bandits.beta_quantile import beta_quantile
from spark_jobs.bandits.contract import F64, I64, Bandit, Belief

UPPER, LOWER = 6.0, 3.0


class Thompson(Bandit):
    """Each arm's number is a draw from its Beta posterior."""

    def draw(self, belief: Belief, uniform: F64, *, lists: I64) -> F64:
        return beta_quantile(belief.alpha, belief.beta, uniform)

    def replicates(self, belief: Belief, generator: np.random.Generator, *, lists: I64, count: int) -> F64:
        return generator.beta(belief.alpha, belief.beta, size=(count, lists.size))

    def reach(self, belief: Belief) -> tuple[F64, F64]:
        return belief.mean - LOWER * belief.deviation, belief.mean + UPPER * belief.deviation


class LinearThompson(Thompson):
    """Thompson sampling of the belief that items with like features share.

    Agrawal and Goyal, ICML 2013, with the law of each arm by itself: theirs draws one weight vector for all arms, which
    lifts and sinks like items together.
    """

    linear = True
