"""SLOPE: the data choose how hard weights are clipped (Su, Srinath and Krishnamurthy, ICML 2020).

Candidates go from no bias and much noise to much bias and little noise. The one taken is the last whose estimate is
still within the noise of all before it: |θ_k - θ_j| ≤ c_k + (√6 - 1) · c_j for every j < k, with half widths c.
"""

from __future__ import annotations

import numpy as np

from spark_jobs.evaluation.ope.rounds import F64

_SHARES = (0.999, 0.99, 0.975, 0.95, 0.9, 0.8, 0.5)


def thresholds(weights: F64) -> F64:
    """(k,) no threshold at all, then ever lower quantiles of the positive weights."""
    positive = weights[weights > 0]
    quantiles = np.quantile(positive, _SHARES) if positive.size else np.empty(0)
    return np.concatenate([[np.inf], np.unique(quantiles)[::-1]])


def shrinkages(weights: F64) -> F64:
    """(k,) strengths of optimistic shrinkage: none (∞), then the squares of the thresholds, where ŵ = w / 2."""
    return np.asarray(thresholds(weights) ** 2)


def slope(values: F64, half_widths: F64) -> int:
    """Index of the candidate to take.

    Args:
        values: (k,) estimates, least biased first.
        half_widths: (k,) of their intervals.

    >>> slope(np.array([1.0, 0.98, 0.3]), np.array([0.2, 0.1, 0.05]))
    1
    """
    order = np.minimum.accumulate(half_widths)  # noise may not rise with bias: a wider candidate is taken as the last
    taken = 0
    for k in range(1, values.size):
        if np.any(np.abs(values[k] - values[:k]) > order[k] + (np.sqrt(6.0) - 1.0) * order[:k]):
            break
        taken = k
    return taken
