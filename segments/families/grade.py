"""Member grades: users ordered by one number (spending to date, points), cut at thresholds.

Thresholds are amounts, or quantiles of the users who have the number. Users without it have no grade.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from segments.catalogue import ALL, Cut, Segment
from segments.config import Settings
from segments.naming import segment_ids


class GradeSettings(Settings):
    """Where one grade ends and the next begins."""

    kind: Literal["grade"] = "grade"
    prefix: str = Field(default="g", pattern="^[a-z][a-z0-9]*$", description="first part of the segment ids")
    measure: str = Field(default="spending", description="`spending` (to date), or a numeric user attribute: `points`")
    names: tuple[str, ...] = Field(default=("bronze", "silver", "gold"), min_length=1, description="lowest first")
    quantiles: tuple[float, ...] = Field(default=(), description="one fewer than names, rising, between 0 and 1")
    amounts: tuple[float, ...] = Field(default=(), description="one fewer than names, rising; instead of quantiles")
    min_users: int = Field(default=50, ge=1, description="a smaller grade joins the one below it")

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Self:
        if self.quantiles and self.amounts:
            raise ValueError("give quantiles or amounts, not both")
        given = self.amounts or self.quantiles
        if given and len(given) != len(self.names) - 1:
            raise ValueError(f"{len(self.names)} grades need {len(self.names) - 1} thresholds, not {len(given)}")
        if any(low >= high for low, high in pairwise(given)):
            raise ValueError("thresholds must rise")
        if self.quantiles and not 0 < self.quantiles[0] <= self.quantiles[-1] < 1:
            raise ValueError("quantiles lie between 0 and 1")
        return self

    def shares(self) -> tuple[float, ...]:
        """The quantiles in force: those given, or equal groups."""
        return self.quantiles or tuple(n / len(self.names) for n in range(1, len(self.names)))


def thresholds(values: Mapping[str, float], settings: GradeSettings) -> tuple[float, ...]:
    """The least amount of each grade above the lowest."""
    if settings.amounts or not values:
        return settings.amounts
    return tuple(np.quantile(np.fromiter(values.values(), dtype=np.float64), settings.shares()).tolist())


def cut_by_grade(values: Mapping[str, float], settings: GradeSettings, *, family: str = "grade") -> Cut:
    """Cuts users by a number: grade n begins at threshold n, inclusive.

    Args:
        values: the number by user id; not-a-number counts as none.
        settings: names and thresholds.
        family: the family's name, under which models know the segment.
    """
    known = {user: value for user, value in values.items() if np.isfinite(value)}
    edges = thresholds(known, settings)
    level = np.searchsorted(np.asarray(edges), np.fromiter(known.values(), dtype=np.float64), side="right")
    grade_of = dict(zip(known, _joined(level.tolist(), settings), strict=True))
    sizes = Counter(grade_of.values())
    ids = {cell[0]: name for cell, name in segment_ids(settings.prefix, [(name,) for name in settings.names]).items()}
    segments = tuple(
        Segment(
            id=ids[name],
            family=family,
            values={family: ids[name]},
            users=sizes[name],
            label=name if n == 0 or n > len(edges) else f"{name}: {settings.measure} ≥ {edges[n - 1]:,.2f}",
            parent=ALL,
        )
        for n, name in enumerate(settings.names)
        if sizes[name]
    )
    return Cut(segments=segments, segment_of={user: ids[name] for user, name in grade_of.items()})


def _joined(levels: list[int], settings: GradeSettings) -> list[str]:
    """Grade names by user, small grades joined to the one below; a small lowest grade joins the one above."""
    sizes = Counter(levels)
    target = {level: level for level in sizes}
    for level in sorted(sizes, reverse=True):
        below = [other for other in sizes if other < level]
        if below and 0 < sizes[level] < settings.min_users:
            target[level] = max(below)
            sizes[max(below)] += sizes.pop(level)
    lowest, *above = sorted(sizes) or [0]
    if above and sizes[lowest] < settings.min_users:
        target[lowest] = above[0]
    return [settings.names[_end(level, target)] for level in levels]


def _end(level: int, target: Mapping[int, int]) -> int:
    while target[level] != level:
        level = target[level]
    return level
