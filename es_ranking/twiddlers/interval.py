"""Interval: things alike keep a minimum distance, whatever the filter and the page.

Items at places p != q that share a value of attribute a must satisfy |p - q| >= g_a. At each place the best-ranked of
the first L undelivered hits that satisfies all attributes is taken; else attributes are dropped, lowest priority
first; else the best-ranked hit is taken. Each drop is counted. Pins are fixed first and count as neighbours on both
sides; a gap broken between two pins is counted as relaxed.

Place p depends only on the first p + L hits, so any page is a slice of one sequence. When nothing was relaxed the
result equals the greedy over *all* hits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from es_ranking.twiddlers.contract import Entry, Facts, Stream, Value
from segments.config import Settings


class Gap(Settings):
    """The minimum distance of items that share a value of one attribute."""

    attribute: str = Field(description="a field with doc values, such as brand_id")
    gap: int = Field(ge=1, description="least difference of places; 1 asks for nothing")
    priority: int = Field(default=1, description="gaps of lower priority are given up first")


class IntervalSettings(Settings):
    """Interval of a surface."""

    kind: Literal["interval"] = "interval"
    gaps: tuple[Gap, ...] = Field(min_length=1, description="attributes and their gaps")
    look_ahead: int = Field(default=60, ge=1, le=2000, description="L: undelivered hits considered at each place")

    @model_validator(mode="after")
    def _once(self) -> IntervalSettings:
        names = [gap.attribute for gap in self.gaps]
        if len(set(names)) < len(names):
            raise ValueError("an attribute is listed twice")
        return self

    def build(self, facts: Facts) -> Interval:
        """The twiddler; it needs to know nothing but the hits."""
        return Interval(self.gaps, look_ahead=self.look_ahead)


class Interval:
    """Spaces the hits of a stream around the slots that pins reserved."""

    stage: ClassVar[str] = "interval"

    def __init__(self, gaps: Sequence[Gap] = (), *, look_ahead: int = 1) -> None:
        # highest priority first; of equals the one listed first is kept longest
        self.gaps = sorted(gaps, key=lambda gap: -gap.priority)
        self.look_ahead = look_ahead

    def reach(self, wanted: int) -> int:
        return wanted + self.look_ahead

    def rearrange(self, stream: Stream, wanted: int) -> Stream:
        greedy = _Greedy(self.gaps, stream.slots)
        waiting: list[Entry] = []
        source = deque(stream.entries)
        slots = dict(sorted(stream.slots.items()))
        while len(greedy.order) < wanted:
            place = len(greedy.order)
            if place in slots:
                greedy.pin(slots.pop(place), moved=False)
            elif waiting or source:
                index = self._choose(greedy, waiting, source, ended=stream.ended)
                if index is None:
                    break
                greedy.deliver(waiting.pop(index))
            elif stream.ended and slots:
                # the list is shorter than the slot: what is pinned still has to be shown
                greedy.pin(slots.pop(min(slots)), moved=True)
            else:
                break
        for index, entry in enumerate(greedy.order):
            entry.places[self.stage] = index + 1
        ended = stream.ended and not (waiting or source or slots)
        return Stream(greedy.order, ended, {}, stream.relaxed + greedy.relaxed)

    def _choose(self, greedy: _Greedy, waiting: list[Entry], source: deque[Entry], *, ended: bool) -> int | None:
        """Index in `waiting` of the hit for the next place; None when more hits must be read to know."""
        best, kept = 0, -1
        index = 0
        while index < self.look_ahead:
            if index == len(waiting):
                if not source:
                    break
                waiting.append(source.popleft())
            broken = greedy.broken(waiting[index])
            if not broken:
                return index
            waiting[index].reasons[self.stage] = "kept apart by " + ", ".join(self.gaps[a].attribute for a in broken)
            # dropping from the lowest priority upwards: the hit whose most important broken gap matters least
            if broken[0] > kept:
                best, kept = index, broken[0]
            index += 1
        if index < self.look_ahead and not ended:
            return None
        dropped = self.gaps[kept:]
        greedy.relaxed += len(dropped)
        waiting[best].reasons[self.stage] = "relaxed " + ", ".join(gap.attribute for gap in dropped)
        return best


class _Greedy:
    """The order so far, and what it forbids at the next place."""

    def __init__(self, gaps: Sequence[Gap], slots: Mapping[int, Entry]) -> None:
        self.gaps = gaps
        self.order: list[Entry] = []
        self.relaxed = 0
        self.pinned: list[int] = []
        self.last: list[dict[Value, int]] = [{} for _ in gaps]
        self.ahead: list[dict[Value, list[int]]] = [{} for _ in gaps]
        for slot, entry in sorted(slots.items()):
            for a, gap in enumerate(gaps):
                for value in entry.hit.attributes.get(gap.attribute, ()):
                    self.ahead[a].setdefault(value, []).append(slot)

    def broken(self, entry: Entry) -> list[int]:
        """Indices (0 is the most important) of the gaps this hit would break at the next place."""
        place = len(self.order)
        return [a for a, gap in enumerate(self.gaps) if gap.gap > 1 and self._breaks(a, gap, entry, place)]

    def _breaks(self, a: int, gap: Gap, entry: Entry, place: int) -> bool:
        for value in entry.hit.attributes.get(gap.attribute, ()):
            before = self.last[a].get(value)
            if before is not None and place - before < gap.gap:
                return True
            if any(0 < slot - place < gap.gap for slot in self.ahead[a].get(value, ())):
                return True
        return False

    def pin(self, entry: Entry, *, moved: bool) -> None:
        """A pin takes a place. Gaps it breaks with earlier pins are counted here, with other hits at those hits."""
        place = len(self.order)
        # a pin that could not stand at its slot was not foreseen by the hits before it
        others = range(place) if moved else self.pinned
        for gap in self.gaps:
            values = set(entry.hit.attributes.get(gap.attribute, ()))
            near = [q for q in others if place - q < gap.gap]
            alike = [q for q in near if values & set(self.order[q].hit.attributes.get(gap.attribute, ()))]
            # each hit it came too near to, and once for all pins
            self.relaxed += sum(q not in self.pinned for q in alike) + any(q in self.pinned for q in alike)
        self.pinned.append(place)
        self.deliver(entry)

    def deliver(self, entry: Entry) -> None:
        """The hit takes the next place."""
        for a, gap in enumerate(self.gaps):
            for value in entry.hit.attributes.get(gap.attribute, ()):
                self.last[a][value] = len(self.order)
        self.order.append(entry)
