"""Interval: things alike keep a minimum distance, whatever the filter and the page.

Items at places p != q that share a value of attribute a must satisfy |p - q| >= g_a. Several attributes at once, each
with its gap; what cannot be kept is given up in the order of priorities and counted (see spacing.py).
Pins count as neighbours on both sides; a gap broken between two pins is counted as relaxed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Value
from es_ranking.twiddlers.spacing import Spacing
from segments.config import Settings


class Gap(Settings):
    """The minimum distance of items that share a value of one attribute."""

    attribute: str = Field(description="a field with doc values, such as brand_id")
    gap: int = Field(ge=1, description="least difference of places; 1 asks for nothing")
    priority: int = Field(default=1, description="gaps of lower priority are given up first")

    @property
    def told(self) -> str:
        """What a reason calls it."""
        return self.attribute

    def track(self) -> _Distance:
        """For one list."""
        return _Distance(self.attribute, self.gap)


class IntervalSettings(Configured):
    """Interval of a surface."""

    of_the_page: ClassVar[bool] = True
    kind: Literal["interval"] = "interval"
    gaps: tuple[Gap, ...] = Field(min_length=1, description="attributes and their gaps")
    look_ahead: int = Field(default=60, ge=1, le=2000, description="L: undelivered hits considered at each place")

    @model_validator(mode="after")
    def _once(self) -> IntervalSettings:
        names = [gap.attribute for gap in self.gaps]
        if len(set(names)) < len(names):
            raise ValueError("an attribute is listed twice")
        return self

    def attributes(self, facts: Facts) -> tuple[str, ...]:
        return tuple(gap.attribute for gap in self.gaps)

    def build(self, facts: Facts) -> Spacing:
        """The twiddler; it needs to know nothing but the hits."""
        return Spacing(self.gaps, look_ahead=self.look_ahead)


class _Distance:
    """Where each value stood last, and where pins will bring it."""

    def __init__(self, attribute: str, gap: int) -> None:
        self.attribute, self.gap = attribute, gap
        # what stands at the last places, as far as it may be too near to the next
        self.near: deque[tuple[int, set[Value]]] = deque(maxlen=gap - 1)
        self.pinned: set[int] = set()
        self.last: dict[Value, int] = {}
        self.ahead: dict[Value, list[int]] = {}

    def reserve(self, entry: Entry, slot: int) -> None:
        for value in self._values(entry):
            self.ahead.setdefault(value, []).append(slot)

    def broken(self, entry: Entry, place: int) -> bool:
        for value in self._values(entry):
            before = self.last.get(value)
            if before is not None and place - before < self.gap:
                return True
            if self.ahead and any(0 < slot - place < self.gap for slot in self.ahead.get(value, ())):
                return True
        return False

    def pin(self, entry: Entry, place: int, *, foreseen: bool) -> int:
        # gaps between a pin and the hits before it were counted at those hits, if they knew of it
        values = set(self._values(entry))
        alike = [q for q, theirs in self.near if values & theirs and (q in self.pinned or not foreseen)]
        # each hit it came too near to, and once for all pins
        count = sum(q not in self.pinned for q in alike) + any(q in self.pinned for q in alike)
        self.pinned.add(place)
        self.deliver(entry, place)
        return count

    def deliver(self, entry: Entry, place: int) -> None:
        for value in self._values(entry):
            self.last[value] = place
        self.near.append((place, set(self._values(entry))))

    def _values(self, entry: Entry) -> Sequence[Value]:
        return entry.hit.attributes.get(self.attribute, ())
