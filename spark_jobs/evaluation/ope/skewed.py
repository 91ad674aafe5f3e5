"""Intervals of estimates that few of the clusters decide.

Weighted rewards have long tails: a log that misses the few large weights gives a low estimate that looks certain, so an
interval of t · standard error to both sides misses the truth above it far more often than promised. Two standard
corrections, from what each cluster adds to the estimate (its influence):

- skewness γ: T = (estimate - truth) / error is made symmetric by Hall's cubic (J. R. Statist. Soc. B 54, 1992), whose
  inverse is T = 3 / a · ((1 + a · t - a² / 6)^⅓ - 1), a = γ / √clusters;
- excess kurtosis κ: t has the degrees of freedom that the error's own spread leaves it, 2 / (κ / clusters + 2 /
  (clusters - 1)) (Satterthwaite, Biometrics Bulletin 2, 1946), since Var(s²) = σ⁴ (κ / n + 2 / (n - 1)).
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from spark_jobs.evaluation.bootstrap import Interval
from spark_jobs.evaluation.ope.rounds import F64


def skewed_interval(value: float, error: float, influence: F64, *, level: float) -> Interval:
    """The interval of an estimate.

    Args:
        value: the estimate.
        error: its standard error; 0 gives an interval of no width, NaN none.
        influence: (clusters,) what each adds to the estimate to first order, four or more.
        level: of the interval.

    >>> found = skewed_interval(1.0, 0.1, np.array([-1.0, -1.0, -1.0, 3.0] * 250), level=0.95)
    >>> round(found.low, 3), round(found.high, 3)
    (0.809, 1.202)
    """
    n = influence.size
    centred = influence - influence.mean()
    variance = float((centred**2).mean())
    if not variance > 0.0:
        return Interval(value, value - error, value + error)
    skewness = float((centred**3).mean()) / variance**1.5 * np.sqrt(n * (n - 1)) / (n - 2)
    excess = float((centred**4).mean()) / variance**2 - 3.0
    kurtosis = max(0.0, (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6.0))
    t = float(stats.t.ppf(0.5 + level / 2, 2.0 / (kurtosis / n + 2.0 / (n - 1))))
    low, high = (value - error * _untwisted(side, skewness / np.sqrt(n)) for side in (t, -t))
    return Interval(value, low, high)


def _untwisted(t: float, a: float) -> float:
    """Hall's inverse; t itself where there is no skewness."""
    return t if abs(a) < 1e-6 else float(3.0 / a * (np.cbrt(1.0 + a * t - a**2 / 6.0) - 1.0))
