"""KL-UCB: the largest click rate that what was seen does not rule out.

max { q : n · d(mean, q) ≤ width² · ln t }, d the Kullback-Leibler divergence of two Bernoulli laws (Garivier and Cappé,
COLT 2011, with their practical c = 0). Its regret meets the bound of Lai and Robbins, at low rates as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_jobs.bandits.contract import F64, Belief
from spark_jobs.bandits.ucb1 import UpperBound

STEPS = 8
EDGE = 1.0 - 1e-12


@dataclass(frozen=True)
class KLUCB(UpperBound):
    """Each arm's number is its upper bound by Kullback-Leibler divergence."""

    def bound(self, belief: Belief, log_t: F64) -> F64:
        p = belief.mean
        budget = self.width**2 * log_t / belief.evidence
        # d(p, q) >= (q - p)^2 / (2 q) and >= 2 (q - p)^2: both starts lie above the root. Newton on the log odds, where
        # d is convex and nearly straight towards 1, comes down to it.
        q = np.minimum(p + budget + np.sqrt(budget**2 + 2.0 * p * budget), p + np.sqrt(0.5 * budget))
        q = np.clip(q, p, np.maximum(p, EDGE))
        for _ in range(STEPS):
            excess = p * np.log(p / q) + (1.0 - p) * np.log1p((q - p) / (1.0 - q)) - budget
            step = np.divide(np.maximum(excess, 0.0), q - p, out=np.zeros_like(q), where=q > p)
            odds = q / (1.0 - q) * np.exp(-step)
            q = np.maximum(odds / (1.0 + odds), p)
        return np.asarray(q)
