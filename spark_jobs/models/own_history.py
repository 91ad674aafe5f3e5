"""A person's own past, as numbers a personal model reads: what they bought before, how lately, how often.

Levels are item fields (the item itself, its type, category, brand). For a person and a level's value at a moment:

    own_<level>        purchases before the moment's day
    own_<level>_56d    of these, in the last 56 days
    own_<level>_rate   (purchases + 0.05) / (shopping days + 2)
    own_<level>_days   days since the last one; missing where there is none
    own_days           days on which the person bought anything
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken
from spark_jobs.fields import Field

Longs = NDArray[np.int64]
Doubles = NDArray[np.float64]
RECENT_DAYS = 56


def own_fields(levels: Sequence[str]) -> tuple[Field, ...]:
    """The numeric user fields of these levels, in the order of the columns."""
    names = [f"own_{level}{suffix}" for level in levels for suffix in ("", "_56d", "_rate", "_days")]
    return tuple(Field(name=name, kind="numeric", role="user") for name in (*names, "own_days"))


class OwnHistory:
    """Purchases of all people, sorted once, counted by binary search.

    Args:
        user: person of each purchase, (n,) small numbers from 0.
        item: item of each purchase, (n,).
        day: day of each purchase, (n,).
        levels: level → value of each item on that level, (items,) small numbers from 0, −1 for none.
    """

    def __init__(self, *, user: Longs, item: Longs, day: Longs, levels: Mapping[str, Longs]) -> None:
        if not len(user) == len(item) == len(day):
            raise ContractBroken("purchases: columns of different lengths")
        self.first = int(day.min(initial=0))
        self.span = int(day.max(initial=0)) - self.first + RECENT_DAYS + 3
        self.levels = levels
        self._sorted: dict[str, tuple[Longs, int]] = {}
        for name, value in levels.items():
            width = int(value.max(initial=-1)) + 1
            there = value[item] >= 0
            keys = (user[there] * width + value[item[there]]) * self.span + (day[there] - self.first)
            self._sorted[name] = (np.sort(keys), width)
        self._days = np.unique(user * self.span + (day - self.first))

    def before(self, user: Longs, item: Longs, day: Longs) -> dict[str, Doubles]:
        """The fields of `own_fields` for people and items as of the beginning of a day, each (m,).

        Args:
            user: numbered as the purchases; −1 for somebody never seen.
            item: numbered as the levels.
            day: what happened on this day or later is not looked at.
        """
        now = np.clip(day - self.first, 0, self.span - 1)
        known = user >= 0
        person = np.maximum(user, 0)
        shopped = _between(self._days, person * self.span, now) * known
        found: dict[str, Doubles] = {}
        for name, value in self.levels.items():
            keys, width = self._sorted[name]
            base = (person * width + np.maximum(value[item], 0)) * self.span
            there = known & (value[item] >= 0)
            end = np.searchsorted(keys, base + now)
            count = (end - np.searchsorted(keys, base)) * there
            recent = (end - np.searchsorted(keys, base + np.maximum(now - RECENT_DAYS, 0))) * there
            last = keys[np.maximum(end - 1, 0)] % self.span if keys.size else np.zeros_like(end)
            found[f"own_{name}"] = count.astype(np.float64)
            found[f"own_{name}_56d"] = recent.astype(np.float64)
            found[f"own_{name}_rate"] = (count + 0.05) / (shopped + 2.0)
            found[f"own_{name}_days"] = np.where(count > 0, (now - last).astype(np.float64), np.nan)
        found["own_days"] = shopped.astype(np.float64)
        return found


def _between(keys: Longs, base: Longs, now: Longs) -> Longs:
    return np.asarray(np.searchsorted(keys, base + now) - np.searchsorted(keys, base), dtype=np.int64)
