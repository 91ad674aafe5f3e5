"""A re-sort: the first `depth` hits in another order. Those further down, and those without a rank, stay.

The depth is fixed, so every page is a slice of one sequence, however far the top is turned around. The places keep the
scores that stood there: what later stages do to a score means the same whatever the order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from es_ranking.twiddlers.contract import Entry, Stream


class Resort(ABC):
    """Sorts the top of a list again; a subclass says how."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    @property
    def idle(self) -> bool:
        return False

    @abstractmethod
    def again(self, moving: list[Entry]) -> list[Entry]:
        """These hits of the top, all of them ranked, in their new order."""

    def movable(self, score: float) -> bool:
        """Whether a hit of this score may move; scores fall, so those that may stand first."""
        return True

    def reach(self, wanted: int) -> int:
        return wanted if self.idle else max(wanted, self.depth)

    def rearrange(self, stream: Stream, wanted: int) -> Stream:
        if self.idle:
            return stream
        if len(stream.entries) < self.depth and not stream.ended:
            # the last of the top may come first: nothing is settled before all of it is read
            return Stream([], ended=False, slots=stream.slots, relaxed=stream.relaxed)
        top = stream.entries[: self.depth]
        moving = [entry for entry in top if entry.score is not None and self.movable(entry.score)]
        scores = [entry.score for entry in moving]
        moved = self.again(moving)
        for entry, score in zip(moved, scores, strict=True):
            entry.score = score
        entries = moved + stream.entries[len(moved) :]
        for turn, entry in enumerate(entries):
            entry.turn = turn
        return Stream(entries, stream.ended, stream.slots, stream.relaxed)
