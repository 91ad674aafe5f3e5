"""LinUCB: an upper confidence bound on the belief that items with like features share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_jobs.bandits.contract import F64, I64, Bandit, Belief


@dataclass(frozen=True)
class LinUCB(Bandit):
    """mean + width · deviation of the linear belief (Li, Chu, Langford and Schapire, WWW 2010, their alpha = width)."""

    width: float = 1.0
    random = False
    linear = True

    def draw(self, belief: Belief, uniform: F64, *, lists: I64) -> F64:
        return np.asarray(belief.mean + self.width * belief.deviation)
