"""Crowding: at most n items with one value of an attribute among the first m places.

Of a brand that has the best twenty items, two are shown on the first row and the others after it. Pins take their share
of the n; what cannot be kept within the look-ahead is given up and counted, as a gap is (see spacing.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Value
from es_ranking.twiddlers.spacing import Spacing
from segments.config import Settings


class Crowd(Settings):
    """How many items may share a value of one attribute at the top."""

    attribute: str = Field(description="a field with doc values, such as brand_id")
    most: int = Field(ge=1, description="n: items with one value")
    first: int = Field(ge=1, le=1000, description="m: places at the top of the list, whatever the page")
    priority: int = Field(default=1, description="crowds and gaps of lower priority are given up first")

    @property
    def told(self) -> str:
        """What a reason calls it."""
        return f"{self.attribute} (at most {self.most} in the first {self.first})"

    def track(self) -> _Share:
        """For one list."""
        return _Share(self)


class CrowdingSettings(Configured):
    """Crowding of a surface."""

    of_the_page: ClassVar[bool] = True
    kind: Literal["crowding"] = "crowding"
    crowds: tuple[Crowd, ...] = Field(min_length=1, description="attributes and how many of a value")
    look_ahead: int = Field(
        default=60, ge=1, le=2000, description="L: undelivered hits considered at each place; interval's, if larger"
    )

    @model_validator(mode="after")
    def _once(self) -> CrowdingSettings:
        names = [(crowd.attribute, crowd.first) for crowd in self.crowds]
        if len(set(names)) < len(names):
            raise ValueError("an attribute is listed twice for the same number of places")
        return self

    def attributes(self, facts: Facts) -> tuple[str, ...]:
        return tuple(crowd.attribute for crowd in self.crowds)

    def build(self, facts: Facts) -> Spacing:
        """The twiddler; it needs to know nothing but the hits."""
        return Spacing(self.crowds, look_ahead=self.look_ahead)


class _Share:
    """How often each value stands at the top, and how often pins will bring it there."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.there: Counter[Value] = Counter()
        self.ahead: Counter[Value] = Counter()
        self.reserved: set[str] = set()
        # how many too many were counted already
        self.counted: Counter[Value] = Counter()

    def reserve(self, entry: Entry, slot: int) -> None:
        if slot < self.crowd.first:
            self.reserved.add(entry.hit.item_id)
            self.ahead.update(self._values(entry))

    def broken(self, entry: Entry, place: int) -> bool:
        if place >= self.crowd.first:
            return False
        return any(self.there[value] + self.ahead[value] >= self.crowd.most for value in self._values(entry))

    def pin(self, entry: Entry, place: int, *, foreseen: bool) -> int:
        if place >= self.crowd.first:
            return 0
        values = self._values(entry)
        if entry.hit.item_id in self.reserved:
            self.ahead.subtract(values)
        self.there.update(values)
        over = {value: self.there[value] - self.crowd.most for value in values}
        uncounted = any(over[value] > self.counted[value] for value in values)
        self._count(over)
        return int(uncounted)

    def deliver(self, entry: Entry, place: int) -> None:
        if place >= self.crowd.first:
            return
        values = self._values(entry)
        self.there.update(values)
        # a hit that breaks the limit with a pin further down was counted where it stands
        self._count({value: self.there[value] + self.ahead[value] - self.crowd.most for value in values})

    def _count(self, over: dict[Value, int]) -> None:
        for value, many in over.items():
            self.counted[value] = max(self.counted[value], many)

    def _values(self, entry: Entry) -> Sequence[Value]:
        return entry.hit.attributes.get(self.crowd.attribute, ())
