"""Learning-rate rules of continual learning: what the events per hour of a window make of the rate.

A rule is a small function and one line in `RULES`. Its gain is a multiplier of `learning_rate`: many events carry a
larger step, few are mostly noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Activity:
    """What a rule sees.

    Attributes:
        events_per_hour: impressions an hour in the window.
        usual_per_hour: the same over the days before; 0: not known.
        limit: largest multiplier at this hour, 1 or more (`day_limit` or `night_limit`).
    """

    events_per_hour: float
    usual_per_hour: float
    limit: float


def constant(seen: Activity) -> float:
    """Always the plain learning rate."""
    del seen
    return 1.0


def activity(seen: Activity) -> float:
    """The whole limit at the usual number of events per hour or more, less in proportion, never under 1."""
    if seen.usual_per_hour <= 0.0:
        return 1.0
    return min(seen.limit, max(1.0, seen.limit * seen.events_per_hour / seen.usual_per_hour))


def root(seen: Activity) -> float:
    """As `activity`, by the square root: the noise of a mean falls with the root of the number of events."""
    if seen.usual_per_hour <= 0.0:
        return 1.0
    return min(seen.limit, max(1.0, seen.limit * math.sqrt(seen.events_per_hour / seen.usual_per_hour)))


RULES: dict[str, Callable[[Activity], float]] = {"constant": constant, "activity": activity, "root": root}


def limit_at(hour: int, *, day_from: int, night_from: int, day_limit: float, night_limit: float) -> float:
    """The limit at an hour of the day.

    >>> limit_at(23, day_from=7, night_from=22, day_limit=5.0, night_limit=2.0)
    2.0
    """
    by_day = day_from <= hour < night_from if day_from < night_from else not night_from <= hour < day_from
    return day_limit if by_day else night_limit
