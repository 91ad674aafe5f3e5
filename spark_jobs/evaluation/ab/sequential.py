"""Intervals that hold at every look: watch a test daily, stop when you like, and 95 % stay 95 %.

The mixture sequential probability ratio test with a normal mixture N(0, τ²) over the effect (Robbins, 1970; Johari,
Koomen, Pekelis, Walsh, KDD 2017, "Peeking at A/B Tests"), for estimates that are about normal with a known variance v
(asymptotic confidence sequences: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, 2021):

    Λ(d) = √(v / (v + τ²)) · exp(τ² d² / (2 v (v + τ²))),   p = min(1, 1/Λ),
    half width = √(2 v (v + τ²) / τ² · ln(√((v + τ²) / v) / α))

τ is chosen before the test, about the size of the effect one hopes for; any other keeps the promise and is only wider.
"""

from __future__ import annotations

import math

from segments.errors import UsageError
from spark_jobs.evaluation.bootstrap import Interval


def always_valid(difference: float, variance: float, *, scale: float, level: float = 0.95) -> Interval:
    """The interval of a difference at any look.

    Args:
        difference: estimated.
        variance: of the estimate; 0 or less: nothing is known, the interval is infinite.
        scale: τ, in units of the difference, above 0.
        level: with this probability the truth lies inside at all looks together.

    Raises:
        UsageError: a scale or level that is none.
    """
    _check(scale, level)
    if not variance > 0.0:
        return Interval(difference, -math.inf, math.inf)
    wide = variance + scale**2
    # a logarithm of a sum of ratios would overflow for tiny variances
    bound = 0.5 * (math.log(wide) - math.log(variance)) - math.log(1.0 - level)
    half = math.sqrt(2.0 * variance * wide / scale**2 * bound)
    return Interval(difference, difference - half, difference + half)


def always_valid_p(difference: float, variance: float, *, scale: float) -> float:
    """The p-value that may be looked at as often as one likes."""
    _check(scale, 0.95)
    if not variance > 0.0:
        return 1.0
    wide = variance + scale**2
    log_ratio = 0.5 * (math.log(variance) - math.log(wide)) + (scale * difference) ** 2 / (2.0 * variance * wide)
    return math.exp(-max(0.0, log_ratio))


def _check(scale: float, level: float) -> None:
    if not 0.0 < scale < math.inf or not 0.0 < level < 1.0:
        raise UsageError(f"a scale above 0 and a level between 0 and 1, not {scale:g} and {level:g}")
