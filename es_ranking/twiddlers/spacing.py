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

from es_ranking.twiddlers.contract import Entry, Piece


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
    """Fills the places of a list within limits; without any it only fills in around the pins."""

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
        # only a place where everything near is forbidden looks L hits far: seldom enough to be read when it happens
        return wanted + min(self.look_ahead, max(wanted // 4, 10))

    def begin(self) -> _Filling:
        return _Filling(self.limits, self.look_ahead)


class _Filling:
    """One list being filled."""

    def __init__(self, limits: Sequence[Limit], look_ahead: int) -> None:
        self.limits = limits
        self.look_ahead = look_ahead
        self.greedy = _Greedy(limits)
        self.source: deque[Entry] = deque()
        # hits that were passed over: they come before those of the source
        self.waiting: list[Entry] = []
        self.slots: dict[int, Entry] | None = None

    def feed(self, piece: Piece, wanted: int) -> Piece:
        greedy = self.greedy
        if self.slots is None:
            self.slots = dict(sorted(piece.slots.items()))
            greedy.reserve(self.slots)
        self.source += piece.entries
        order: list[Entry] = []
        relaxed: list[int] = []
        while greedy.place < wanted:
            place = greedy.place
            if place in self.slots:
                order.append(self.slots.pop(place))
                count = greedy.pin(order[-1], foreseen=True)
            elif self.waiting or self.source:
                found = self._choose(ended=piece.ended)
                if found is None:
                    break
                index, count = found
                order.append(self.waiting.pop(index))
                greedy.deliver(order[-1])
            elif piece.ended and self.slots:
                # the list is shorter than the slot: what is pinned still has to be shown
                order.append(self.slots.pop(min(self.slots)))
                count = greedy.pin(order[-1], foreseen=False)
            else:
                break
            relaxed += [place] * count
            order[-1].places[Spacing.stage] = place + 1
        ended = piece.ended and not (self.waiting or self.source or self.slots)
        return Piece(order, ended, {}, relaxed)

    def _choose(self, *, ended: bool) -> tuple[int, int] | None:
        """Index in `waiting` of the hit for the next place, and the limits dropped for it; None when more hits must
        be read to know."""
        greedy, waiting = self.greedy, self.waiting
        best, kept = 0, -1
        index = 0
        while index < self.look_ahead:
            if index == len(waiting):
                if not self.source:
                    break
                waiting.append(self.source.popleft())
            broken = greedy.broken(waiting[index])
            if not broken:
                self._tell(waiting[index])
                return index, 0
            greedy.held[waiting[index].hit.item_id] = broken
            # dropping from the lowest priority upwards: the hit whose most important broken limit matters least
            if broken[0] > kept:
                best, kept = index, broken[0]
            index += 1
        if index < self.look_ahead and not ended:
            return None
        dropped = self.limits[kept:]
        waiting[best].reasons[Spacing.stage] = "relaxed " + ", ".join(limit.told for limit in dropped)
        return best, len(dropped)

    def _tell(self, entry: Entry) -> None:
        """What held the hit back until now; written once, where it is delivered."""
        broken = self.greedy.held.pop(entry.hit.item_id, None)
        if broken:
            entry.reasons[Spacing.stage] = "kept apart by " + ", ".join(self.limits[i].told for i in broken)


class _Greedy:
    """What the order so far forbids at the next place."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.place = 0
        self.trackers = [limit.track() for limit in limits]
        # item id → the limits that it broke when it was last looked at
        self.held: dict[str, list[int]] = {}

    def reserve(self, slots: Mapping[int, Entry]) -> None:
        """Pins will stand there."""
        for slot, entry in slots.items():
            for tracker in self.trackers:
                tracker.reserve(entry, slot)

    def broken(self, entry: Entry) -> list[int]:
        """Indices (0 is the most important) of the limits this hit would break at the next place."""
        place = self.place
        return [index for index, tracker in enumerate(self.trackers) if tracker.broken(entry, place)]

    def pin(self, entry: Entry, *, foreseen: bool) -> int:
        """A pin takes the next place; not foreseen: it could not stand at the slot the hits before it knew of.

        Returns:
            How often it breaks a limit.
        """
        count = sum(tracker.pin(entry, self.place, foreseen=foreseen) for tracker in self.trackers)
        self.place += 1
        return count

    def deliver(self, entry: Entry) -> None:
        """The hit takes the next place."""
        for tracker in self.trackers:
            tracker.deliver(entry, self.place)
        self.place += 1
