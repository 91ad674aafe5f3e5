"""A re-sort: the first `depth` hits in another order. Those further down, and those without a rank, stay.

The depth is fixed, so every page is a slice of one sequence, however far the top is turned around. The places keep the
scores that stood there: what later stages do to a score means the same whatever the order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from es_ranking.twiddlers.contract import Entry, Piece


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

    def begin(self) -> _Sorting:
        return _Sorting(self)


class _Sorting:
    """One list: its top is gathered, sorted, and all that follows passes."""

    def __init__(self, sort: Resort) -> None:
        self.sort = sort
        self.top: list[Entry] = []
        self.turns = 0

    def feed(self, piece: Piece, wanted: int) -> Piece:
        if self.sort.idle:
            return piece
        entries = piece.entries
        if self.turns == 0:
            self.top += entries
            if len(self.top) < self.sort.depth and not piece.ended:
                # the last of the top may come first: nothing is settled before all of it is read
                return replace(piece, entries=[])
            entries, self.top = self._sorted(self.top), []
        for entry in entries:
            entry.turn = self.turns
            self.turns += 1
        return replace(piece, entries=entries)

    def _sorted(self, entries: list[Entry]) -> list[Entry]:
        top = entries[: self.sort.depth]
        moving = [entry for entry in top if entry.score is not None and self.sort.movable(entry.score)]
        scores = [entry.score for entry in moving]
        moved = self.sort.again(moving)
        for entry, score in zip(moved, scores, strict=True):
            entry.score = score
        return moved + entries[len(moved) :]
