"""The taste store: each person's clicks as a sum of item vectors, as of a time, in the space of one publishing.

A space is one set of item vectors, named by whoever wrote them: vectors of two nights cannot be compared. The night
puts everybody's clicks before its clock into the store; clicks since then are added one by one, and each has its time,
so that a reader who pages on sees the taste his first page was planned with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from es_ranking.tastes.vectors import Floats
from segments.errors import ContractBroken, EngineUnreachable


class TastesUnavailable(EngineUnreachable):
    """The store does not answer, or did not lately: exit code 5. A search keeps the segment's order and says so."""


@dataclass(frozen=True, slots=True)
class Taste:
    """What somebody, or a segment, clicked: how many clicks, and the sum of their items' vectors, (d,)."""

    count: int
    total: Floats

    def direction(self, strength: float) -> Floats:
        """The user's vector, (d,): total / (n + strength), the mean of n clicks drawn towards 0."""
        return np.asarray(self.total / np.float32(self.count + strength), dtype=np.float32)

    def apart_from(self, segment: Taste | None) -> Taste:
        """What is the user's own: Σ (x − μ), μ the mean over the clicks of the segment; 0 where it has none."""
        if segment is None or not segment.count or segment.total.size != self.total.size:
            return self
        return Taste(self.count, self.total - segment.total * np.float32(self.count / segment.count))


@dataclass(frozen=True, slots=True)
class Click:
    """One click, with the vector of its item, (d,). An event id names one click for ever: sent twice, it counts once.

    Raises:
        ContractBroken: an empty name, a time without time zone, or no vector.
    """

    user: str
    ts: datetime
    event_id: str
    vector: Floats

    def __post_init__(self) -> None:
        if not (self.user and self.event_id):
            raise ContractBroken("a click needs user and event id", where=self.event_id or None)
        if self.ts.tzinfo is None:
            raise ContractBroken("a click's time needs a time zone", where=self.event_id)
        if self.vector.ndim != 1 or not self.vector.size or not np.isfinite(self.vector).all():
            raise ContractBroken("a click needs its item's vector", where=self.event_id)


class TasteStore(Protocol):
    """Keeps tastes by space and user; of the clicks since the night the last `limit` before a time count."""

    def load(
        self, space: str, clock: datetime, tastes: Iterable[tuple[str, Taste]], *, segments: Mapping[str, Taste]
    ) -> int:
        """Puts (user, taste) of everything before the night's clock, and the segments'; returns how many users.

        Those who are there already are replaced.

        Raises:
            TastesUnavailable: some may have been written; doing it again is safe.
        """
        ...

    def clicked(self, space: str, clicks: Sequence[Click]) -> None:
        """Adds clicks; those whose event id is there already, and those before the night's clock, change nothing.

        Raises:
            TastesUnavailable: nothing is known to have been written; sending them again is safe.
        """
        ...

    def taste(self, space: str, user: str, as_of: datetime, *, segment: str) -> Taste | None:
        """Everything before a time, apart from the segment that serves the user; None if nothing is known.

        Raises:
            TastesUnavailable: the store does not answer within its short time-out.
        """
        ...

    def forget(self, space: str, user: str) -> bool:
        """Removes what a space holds about a user; whether there was anything."""
        ...


def added(night: Taste | None, recent: Sequence[Floats]) -> Taste | None:
    """The night's taste and the clicks since; vectors of another width than the others' are left out."""
    if night is None and not recent:
        return None
    width = night.total.size if night else recent[-1].size
    total = np.zeros(width, dtype=np.float64) if night is None else night.total.astype(np.float64)
    fitting = [vector for vector in recent if vector.size == width]
    for vector in fitting:
        total += vector
    return Taste((night.count if night else 0) + len(fitting), total.astype(np.float32))
