"""The effect of a variant on a ratio Σy / Σx, such as clicks per shown place or clicks per user.

Users are independent, their views are not: the spread comes from each user's influence on the ratio,
(y - R·x) / Σx to first order (delta method; Deng, Knoblich, Lu, KDD 2018, "Applying the Delta Method in Metric
Analytics"). A user's influences in all epochs, and in both variants where he was moved or requests are cut, are added
before they are squared, so intervals hold for users who return.

Epochs of constant ratios are compared each for itself and then combined with the weights
1 / (1/n_control + 1/n_variant) (Mantel and Haenszel, 1959): the inverse variance when users spread alike, and it never
looks at outcomes. Pooling instead would compare the days of one epoch with those of another (Simpson's paradox).

With a covariate from before the test the influence is reduced by what the covariate explains (CUPED; Deng et al., WSDM
2013), with one slope an epoch for both variants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from segments.errors import ContractBroken
from spark_jobs.evaluation.bootstrap import Interval

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """One row a user, epoch and variant.

    Attributes:
        user: (rows,) number of the user.
        epoch: (rows,) of the experiment.
        arm: (rows,) variant, 0 is the control.
    """

    user: I64
    epoch: I64
    arm: I64


@dataclass(frozen=True)
class Effect:
    """A variant against the control.

    Attributes:
        control, value: the two ratios, epochs weighted alike.
        variance: of value - control.
        relative_variance: of value / control - 1; NaN where the control is 0.
        users: with a row in one of the two, in an epoch that has both.
        explained: share of the variance that the covariate took away.
    """

    control: float
    value: float
    variance: float
    relative_variance: float
    users: int
    explained: float = 0.0

    @property
    def difference(self) -> float:
        return self.value - self.control

    @property
    def relative(self) -> float:
        return self.difference / self.control if self.control else math.nan

    @property
    def p(self) -> float:
        """Two-sided, of one look at a time fixed beforehand."""
        return two_sided_p(self.difference, self.variance)

    def interval(self, *, level: float = 0.95) -> Interval:
        """Of the difference, for one look at a time fixed beforehand."""
        return around(self.difference, self.variance, level)

    def relative_interval(self, *, level: float = 0.95) -> Interval:
        """Of the relative difference, likewise."""
        return around(self.relative, self.relative_variance, level)


def effect(cells: Cells, y: F64, x: F64, *, arm: int, before: F64 | None = None) -> Effect | None:
    """The effect of a variant on Σy / Σx; None where no epoch has two users with x > 0 in both.

    Args:
        cells: whose rows.
        y, x: (rows,) numerator and denominator.
        arm: the variant, above 0.
        before: (rows,) covariate of the user, from before the test.

    Raises:
        ContractBroken: the arrays differ in length, or hold a number that is none.
    """
    if not (cells.user.size == y.size == x.size) or not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise ContractBroken("an effect needs one finite y and x for each row")
    users = int(cells.user.max(initial=-1)) + 1
    of_control, of_arm, plain = np.zeros(users), np.zeros(users), np.zeros(users)
    control = value = weights = 0.0
    seen = np.zeros(users, dtype=bool)
    for epoch in np.unique(cells.epoch):
        here = cells.epoch == epoch
        two = [here & (cells.arm == 0), here & (cells.arm == arm)]
        if any(np.count_nonzero(rows) < 2 or x[rows].sum() <= 0 for rows in two):
            continue
        weight = 1.0 / sum(1.0 / np.count_nonzero(rows) for rows in two)
        ratios = [float(y[rows].sum() / x[rows].sum()) for rows in two]
        # per row, in units of the ratio: their mean is 0
        bare = [(y[rows] - ratio * x[rows]) / x[rows].mean() for rows, ratio in zip(two, ratios, strict=True)]
        kept = bare if before is None else _reduced(bare, [before[rows] for rows in two])
        level = [0.0, 0.0] if before is None else [float(part.mean()) for part in kept]
        for total, rows, part, shift, raw, sign in zip(
            (of_control, of_arm), two, kept, level, bare, (-1.0, 1.0), strict=True
        ):
            scale = weight / math.sqrt(part.size * (part.size - 1.0))
            np.add(total, np.bincount(cells.user[rows], scale * (part - shift), users), out=total)
            plain += np.bincount(cells.user[rows], sign * scale * raw, users)
            seen[cells.user[rows]] = True
        control += weight * (ratios[0] + level[0])
        value += weight * (ratios[1] + level[1])
        weights += weight
    if not weights:
        return None
    control, value = control / weights, value / weights
    variance = float(((of_arm - of_control) ** 2).sum()) / weights**2
    bare_variance = float((plain**2).sum()) / weights**2
    relative = math.nan
    if control:
        relative = float(((of_arm - value / control * of_control) ** 2).sum()) / (weights * control) ** 2
    explained = 1.0 - variance / bare_variance if bare_variance > 0 else 0.0
    return Effect(control, value, variance, relative, int(seen.sum()), explained)


def _reduced(parts: list[F64], covariates: list[F64]) -> list[F64]:
    """Influences less what the covariate explains, measured from the mean over both variants."""
    centred = [each - each.mean() for each in covariates]
    spread = sum(float(each @ each) for each in centred)
    if spread <= 0.0:
        return parts
    slope = sum(float(part @ each) for part, each in zip(parts, centred, strict=True)) / spread
    middle = float(np.concatenate(covariates).mean())
    return [part - slope * (each - middle) for part, each in zip(parts, covariates, strict=True)]


def two_sided_p(difference: float, variance: float) -> float:
    """How likely a difference at least this large is by chance; NaN where it does not vary and is not 0."""
    if variance <= 0.0:
        return 1.0 if difference == 0.0 else math.nan
    return float(2.0 * stats.norm.sf(abs(difference) / math.sqrt(variance)))


def around(value: float, variance: float, level: float) -> Interval:
    """The normal interval of an estimate."""
    half = float(stats.norm.ppf(0.5 + level / 2.0)) * math.sqrt(variance) if variance >= 0 else math.nan
    return Interval(value, value - half, value + half)
