"""The data choose how hard weights are clipped: least estimated squared error, bias² + variance.

The bias of a candidate is measured by its difference to the estimate without clipping, whose noise makes that a
cautious bound; the variance is the bootstrap's (model selection of Su, Dimakopoulou, Krishnamurthy and Dudík, ICML
2020). In our worlds SLOPE (Su, Srinath and Krishnamurthy, ICML 2020) clipped far too hard.
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


def least_error(values: F64, errors: F64) -> int:
    """Index of the candidate to take.

    Args:
        values: (k,) estimates, the unclipped first.
        errors: (k,) their standard errors.

    >>> least_error(np.array([1.0, 0.98, 0.3]), np.array([0.2, 0.1, 0.05]))
    1
    """
    return int(np.argmin((values - values[0]) ** 2 + errors**2))
