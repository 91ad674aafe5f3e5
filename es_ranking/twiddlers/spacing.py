"""Spacing: the greedy that fills the places of a list, around the slots that pins reserved, within limits.

At each place the best-ranked of the first L undelivered hits that keeps every limit is taken; else limits are dropped,
lowest priority first; else the best-ranked hit is taken. Each drop is counted. Pins are fixed first and the hits around
them keep the limits with them; what a pin itself breaks is counted as relaxed.

Place p depends only on the first p + L hits, so any page is a slice of one sequence. When nothing was relaxed the
result equals the greedy over *all* hits.

A limit is what a file of its own defines (interval.py: a gap, crowding.py: a crowd); all limits of a request are kept
by one greedy, because one that came after the other would break it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Protocol, Self

from es_ranking.twiddlers.contract import Entry, Stream


class Tracker(Protocol):
    """One limit while a list is being filled."""

    def reserve(self, entry: Entry, slot: int) -> None:
        """A pin will stand at the slot."""
        ...

    def broken(self, entry: Entry, place: int) -> bool:
        """Whether the hit would break the limit at the next place."""
        ...

    def pin(self, entry: Entry, place: int, *, foreseen: bool) -> int:
        """A pin takes the place: how often it breaks the limit, as far as no hit before it was counted for that."""
        ...

    def deliver(self, entry: Entry, place: int) -> None:
        """A hit that is no pin takes the place."""
        ...


class Limit(Protocol):
    """What a list must keep."""

    @property
    def priority(self) -> int:
        """Limits of lower priority are given up first."""
        ...

    @property
    def told(self) -> str:
        """What a reason calls it."""
        ...

    def track(self) -> Tracker:
        """For one list."""
        ...


class Spacing:
    """Fills the places of a stream within limits; without any it only fills in around the pins."""

    stage: ClassVar[str] = "interval"
    idle = False

    def __init__(self, limits: Sequence[Limit] = (), *, look_ahead: int = 1) -> None:
        # highest priority first; of equals the one listed first is kept longest
        self.limits = sorted(limits, key=lambda limit: -limit.priority)
        self.look_ahead = look_ahead

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """One greedy that keeps the limits of all."""
        listed = list(parts)
        limits = [limit for part in listed for limit in part.limits]
        return cls(limits, look_ahead=max((part.look_ahead for part in listed), default=1))

    def reach(self, wanted: int) -> int:
        return wanted + self.look_ahead

    def rearrange(self, stream: Stream, wanted: int) -> Stream:
        greedy = _Greedy(self.limits, stream.slots)
        waiting: list[Entry] = []
        source = deque(stream.entries)
        slots = dict(sorted(stream.slots.items()))
        while len(greedy.order) < wanted:
            place = len(greedy.order)
            if place in slots:
                greedy.pin(slots.pop(place), foreseen=True)
            elif waiting or source:
                index = self._choose(greedy, waiting, source, ended=stream.ended)
                if index is None:
                    break
                greedy.deliver(waiting.pop(index))
            elif stream.ended and slots:
                # the list is shorter than the slot: what is pinned still has to be shown
                greedy.pin(slots.pop(min(slots)), foreseen=False)
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
            waiting[index].reasons[self.stage] = "kept apart by " + ", ".join(self.limits[i].told for i in broken)
            # dropping from the lowest priority upwards: the hit whose most important broken limit matters least
            if broken[0] > kept:
                best, kept = index, broken[0]
            index += 1
        if index < self.look_ahead and not ended:
            return None
        dropped = self.limits[kept:]
        greedy.relaxed += len(dropped)
        waiting[best].reasons[self.stage] = "relaxed " + ", ".join(limit.told for limit in dropped)
        return best


class _Greedy:
    """The order so far, and what it forbids at the next place."""

    def __init__(self, limits: Sequence[Limit], slots: Mapping[int, Entry]) -> None:
        self.order: list[Entry] = []
        self.relaxed = 0
        self.trackers = [limit.track() for limit in limits]
        for slot, entry in sorted(slots.items()):
            for tracker in self.trackers:
                tracker.reserve(entry, slot)

    def broken(self, entry: Entry) -> list[int]:
        """Indices (0 is the most important) of the limits this hit would break at the next place."""
        place = len(self.order)
        return [index for index, tracker in enumerate(self.trackers) if tracker.broken(entry, place)]

    def pin(self, entry: Entry, *, foreseen: bool) -> None:
        """A pin takes the next place; not foreseen: it could not stand at the slot the hits before it knew of."""
        place = len(self.order)
        self.relaxed += sum(tracker.pin(entry, place, foreseen=foreseen) for tracker in self.trackers)
        self.order.append(entry)

    def deliver(self, entry: Entry) -> None:
        """The hit takes the next place."""
        for tracker in self.trackers:
            tracker.deliver(entry, len(self.order))
        self.order.append(entry)
