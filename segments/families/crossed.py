"""Crossed segments: two or more families together (demographic × brand), where enough users share the pair.

A user whose pair is too small, or who lacks a segment in one of the families, has none here and falls back along the
variant's chain: crossed → its first family → all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from segments.catalogue import Cut, Segment
from segments.config import Settings
from segments.errors import UsageError
from segments.naming import JOINT, checked


class CrossedSettings(Settings):
    """Which families are crossed; the first one is the parent."""

    kind: Literal["crossed"] = "crossed"
    cross: tuple[str, ...] = Field(min_length=2, description="families to cross, by their names in the recipe")
    min_users: int = Field(default=50, ge=1, description="smaller pairs fall back to the first family")


def cut_by_crossing(cuts: Mapping[str, Cut], settings: CrossedSettings, *, family: str) -> Cut:
    """Crosses families that have been cut already.

    Raises:
        UsageError: a family to cross is not among `cuts`.
    """
    for name in settings.cross:
        if name not in cuts:
            raise UsageError.unknown("family to cross", name, cuts, where=family)
    known = [{segment.id: segment for segment in cuts[name].segments} for name in settings.cross]
    pair_of = {}
    for user in cuts[settings.cross[0]].segment_of:
        pair = tuple(cuts[name].segment_of.get(user) for name in settings.cross)
        if None not in pair:
            pair_of[user] = tuple(str(part) for part in pair)
    sizes = Counter(pair_of.values())
    kept = {pair: checked(JOINT.join(pair)) for pair in sorted(sizes) if sizes[pair] >= settings.min_users}
    segments = tuple(
        Segment(
            id=name,
            family=family,
            values=_together(pair, known),
            users=sizes[pair],
            label=" × ".join(table[part].label for part, table in zip(pair, known, strict=True)),
            parent=pair[0],
        )
        for pair, name in kept.items()
    )
    return Cut(segments=segments, segment_of={user: kept[pair] for user, pair in pair_of.items() if pair in kept})


def _together(pair: tuple[str, ...], known: list[dict[str, Segment]]) -> dict[str, str]:
    parts = (table[part].values for part, table in zip(pair, known, strict=True))
    return {field: value for values in parts for field, value in values.items()}
