"""Which of two interleaved variants users prefer: the share of what they did that fell to the second one's picks.

Both teams place as many items, as high up (`segments.teams`), so without a preference each gets half. Users are what is
independent: the share is a ratio of sums over them, its spread that of their influences on it (delta method, as
`effect`). Every user compares within his own lists, so days and epochs need not be kept apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken
from spark_jobs.evaluation.ab.effect import around, two_sided_p
from spark_jobs.evaluation.bootstrap import Interval

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
EVEN = 0.5


@dataclass(frozen=True)
class Preference:
    """What fell to each team.

    Attributes:
        first, second: credited in all.
        variance: of the share.
        users: with credit for either.
        prefer_first, prefer_second: users who gave one more than the other.
    """

    first: float
    second: float
    variance: float
    users: int
    prefer_first: int
    prefer_second: int

    @property
    def share(self) -> float:
        """Of the second variant; above a half it is preferred."""
        return self.second / (self.first + self.second)

    @property
    def p(self) -> float:
        """Two-sided, of one look at a time fixed beforehand; 1 where everybody did the same for both."""
        return two_sided_p(self.share - EVEN, self.variance)

    def interval(self, *, level: float = 0.95) -> Interval:
        """Of the share, for one look at a time fixed beforehand."""
        whole = around(self.share, self.variance, level)
        low, high = np.clip((whole.low, whole.high), 0.0, 1.0)
        return Interval(self.share, float(low), float(high))


def preference(user: I64, first: F64, second: F64) -> Preference | None:
    """From the credit of both teams; None where nobody has given any.

    Args:
        user: (rows,) number of the user.
        first, second: (rows,) clicks, or money, that fell to each team's picks; not negative.

    Raises:
        ContractBroken: the arrays differ in length, or hold a number that is none or below 0.
    """
    if not user.size == first.size == second.size or not all(np.isfinite(a).all() and (a >= 0).all()
                                                            for a in (first, second)):  # fmt: skip
        raise ContractBroken("a preference needs two credits for each row, finite and not negative")
    sums = [np.bincount(user, credit) for credit in (first, second)]
    totals = sums[0] + sums[1]
    there = totals > 0
    if not there.any():
        return None
    whole = float(totals.sum())
    share = float(sums[1].sum()) / whole
    influence = (sums[1] - share * totals) / whole
    users = int(there.sum())
    # one user says nothing of how users differ
    variance = float((influence**2).sum()) * users / (users - 1) if users > 1 else math.nan
    ahead = np.sign(sums[1] - sums[0])
    return Preference(
        float(sums[0].sum()), float(sums[1].sum()), variance, users, int((ahead < 0).sum()), int((ahead > 0).sum())
    )


def hoped_share(effect: float) -> float:
    """How far from a half the share of a variant stands that gets more by this relative effect.

    >>> round(hoped_share(0.05), 4)
    0.0122
    """
    return (1.0 + effect) / (2.0 + effect) - EVEN
