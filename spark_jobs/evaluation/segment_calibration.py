"""Does each segment get what its probabilities promise?

Mean predicted over mean observed by segment, with percentile intervals from a bootstrap over people (a person's rows
stay together). A segment fails only where its whole interval lies outside the bounds: a small one is rarely off by
proof. Where nobody clicked, resampling shows nothing, and the observed clicks may be up to three (the rule of three:
Hanley and Lippman-Hand, JAMA 1983).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
BOUNDS = (0.93, 1.07)


@dataclass(frozen=True)
class SegmentCalibration:
    """One segment: rows, clicks, people, mean predicted over observed and its interval (infinite without clicks)."""

    rows: int
    clicks: float
    people: int
    ratio: float
    low: float
    high: float
    fails: bool

    def to_dict(self) -> dict[str, float | bool]:
        """Plain values."""
        return asdict(self)


def by_segment(
    label: ArrayLike,
    p: ArrayLike,
    weight: ArrayLike,
    *,
    person: ArrayLike,
    segment: ArrayLike,
    names: Mapping[int, str],
    draws: int = 300,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, SegmentCalibration]:
    """Calibration of each segment of one family.

    Args:
        label: (n,) 0 or 1.
        p: (n,) predicted probabilities.
        weight: (n,) impressions a row stands for.
        person: (n,) who, any integers.
        segment: (n,) which segment, any integers.
        names: of segments; one without a name is called by its number.
        draws: resamples of people.
        seed: of the draws.
        level: of the intervals.
    """
    y, q, w = (np.asarray(column, dtype=np.float64) for column in (label, p, weight))
    if not y.size:
        return {}
    people, who = np.unique(np.asarray(person), return_inverse=True)
    kinds, which = np.unique(np.asarray(segment), return_inverse=True)
    # Sums by (segment, person) once: a resample then touches people, not rows.
    pairs, of_row = np.unique(which.astype(np.int64) * len(people) + who, return_inverse=True)
    of_segment, of_person = pairs // len(people), pairs % len(people)
    predicted, observed = _sums(of_row, w * q), _sums(of_row, w * y)
    random = np.random.default_rng(seed)
    even = np.full(len(people), 1.0 / len(people))
    samples = np.empty((draws, len(kinds)))
    for draw in range(draws):
        times = random.multinomial(len(people), even)[of_person]
        samples[draw] = _ratio(_sums(of_segment, times * predicted), _sums(of_segment, times * observed))
    promised, kept = _sums(of_segment, predicted), _sums(of_segment, observed)
    value = _ratio(promised, kept)
    tail = 0.5 * (1.0 - level)
    found = {}
    for place, kind in enumerate(kinds.tolist()):
        # Not interpolated: a resample without a click is infinitely far off, and half of that has no meaning.
        low = float(np.quantile(samples[:, place], tail, method="lower"))
        high = float(np.quantile(samples[:, place], 1.0 - tail, method="higher"))
        if kept[place] == 0.0:
            low, high = float(promised[place]) / 3.0, float("inf")
        found[names.get(kind, str(kind))] = SegmentCalibration(
            rows=int((which == place).sum()),
            clicks=float(y[which == place].sum()),
            people=int((of_segment == place).sum()),
            ratio=float(value[place]),
            low=low,
            high=high,
            fails=high < BOUNDS[0] or low > BOUNDS[1],
        )
    return found


def _sums(group: NDArray[np.int64], values: F64) -> F64:
    return np.asarray(np.bincount(group, values), dtype=np.float64)


def _ratio(predicted: F64, observed: F64) -> F64:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = predicted / observed
    # Nobody drawn: nothing promised, nothing missed.
    return np.asarray(np.where((predicted == 0) & (observed == 0), 1.0, found))
