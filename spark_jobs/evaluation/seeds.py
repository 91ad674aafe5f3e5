"""What a handful of seeds says of a mean, and of the difference between two means."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from spark_jobs.evaluation.bootstrap import Interval


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Student's t interval of a mean; one value alone has no interval (NaN).

    >>> i = mean_interval([1.0, 2.0, 3.0])
    >>> round(i.value, 2), round(i.low, 2), round(i.high, 2)
    (2.0, -0.48, 4.48)
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(values: Sequence[float], *, level: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of a mean; of few values it is too narrow, prefer `mean_interval`."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    drawn = np.random.default_rng(seed).choice(np.asarray(values), (draws, len(values))).mean(1)
    low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(mean, float(low), float(high))


def difference_interval(a: Sequence[float], b: Sequence[float], *, level: float = 0.95) -> Interval:
    """Welch's interval of mean(a) - mean(b) (Welch, 1947); NaN where either has one value."""
    gap = float(np.mean(a) - np.mean(b))
    if len(a) < 2 or len(b) < 2:
        return Interval(gap, math.nan, math.nan)
    u, v = float(np.var(a, ddof=1)) / len(a), float(np.var(b, ddof=1)) / len(b)
    if u + v == 0.0:
        return Interval(gap, gap, gap)
    freedom = (u + v) ** 2 / (u**2 / (len(a) - 1) + v**2 / (len(b) - 1))
    half = float(stats.t.ppf(0.5 + level / 2, freedom)) * math.sqrt(u + v)
    return Interval(gap, gap - half, gap + half)
