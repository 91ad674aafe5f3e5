"""UCB1-tuned: an upper confidence bound that knows how much the arm's own rewards vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_jobs.bandits.contract import F64, Belief
from spark_jobs.bandits.ucb1 import UpperBound


@dataclass(frozen=True)
class UCBTuned(UpperBound):
    """mean + width · sqrt(ln t / n · min(1/4, v)), v = mean (1 − mean) + sqrt(2 ln t / n).

    Auer, Cesa-Bianchi and Fischer, Machine Learning 47 (2002), section 4.
    """

    def bound(self, belief: Belief, log_t: F64) -> F64:
        share = log_t / belief.evidence
        variance = np.minimum(0.25, belief.mean * (1.0 - belief.mean) + np.sqrt(2.0 * share))
        return np.asarray(belief.mean + self.width * np.sqrt(share * variance))
