"""Paired bootstrap over users: all metrics of all variants are resampled by the same draws of users.

A user's visits stay together, because they are not independent of one another (Efron and Tibshirani, 1993, ch. 8);
a difference between two variants is taken within each draw, which removes what both have in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken
from spark_jobs.evaluation.ranking import UserSums

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile interval."""

    value: float
    low: float
    high: float


class PairedBootstrap:
    """Multinomial weights of users, the same for everything that is compared.

    Args:
        users: how many users.
        draws: how many resamples.
        seed: of the draws.
        level: of the intervals.

    Raises:
        ContractBroken: fewer than two users: nothing can be said of the spread.
    """

    def __init__(self, users: int, *, draws: int = 1000, seed: int = 0, level: float = 0.95) -> None:
        if users < 2:
            raise ContractBroken(f"intervals need at least two users, not {users}")
        generator = np.random.default_rng(seed)
        self.weights = generator.multinomial(users, np.full(users, 1.0 / users), size=draws).astype(np.float64)
        self.level = level

    def ratios(self, sums: UserSums) -> F64:
        """(draws,) the metric in each resample; NaN in a resample without any denominator."""
        numerator, denominator = self.weights @ sums.numerator, self.weights @ sums.denominator
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(numerator / denominator)

    def linear(self, value: float, influence: F64) -> F64:
        """(draws,) a statistic in each resample to first order: value + Σ (weight - 1) · influence of each user."""
        return np.asarray(value + (self.weights - 1.0) @ influence)

    def interval(self, value: float, samples: F64) -> Interval:
        """Percentile interval of the resampled values; infinite where no resample has one."""
        return percentiles(value, samples, self.level)

    def difference(self, value: float, samples: F64, *, than: tuple[float, F64]) -> Interval:
        """How much higher one metric is than another, resampled together."""
        return self.interval(value - than[0], samples - than[1])


def percentiles(value: float, samples: F64, level: float) -> Interval:
    """Percentile interval of resampled values; NaN where no resample has one."""
    good = samples[~np.isnan(samples)]
    if not good.size or np.isnan(value):
        return Interval(value, float("nan"), float("nan"))
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(good, [tail, 1.0 - tail])
    return Interval(value, float(low), float(high))
