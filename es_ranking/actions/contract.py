"""The recent-action store: what downrank needs to know of a user, bounded and as of a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from segments.errors import ContractBroken, EngineUnreachable

Counts = dict[str, dict[str, int]]
"""Item id → action kind → how often."""


class ActionsUnavailable(EngineUnreachable):
    """The store does not answer, or did not lately: exit code 5. A search goes on without downrank and says so."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action of one user. An event id names one action for ever: sent twice, it counts once.

    Raises:
        ContractBroken: an empty name, or a time without time zone.
    """

    user: str
    item: str
    kind: str
    ts: datetime
    event_id: str

    def __post_init__(self) -> None:
        if not (self.user and self.item and self.kind and self.event_id):
            raise ContractBroken("an action needs user, item, kind and event id", where=self.event_id or None)
        if self.ts.tzinfo is None:
            raise ContractBroken("an action's time needs a time zone", where=self.event_id)

    @property
    def ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return milliseconds(self.ts)


def milliseconds(ts: datetime) -> int:
    """Whole milliseconds since 1970, without going through a float."""
    return (ts - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


class ActionStore(Protocol):
    """Keeps each user's last actions.

    A store reads at most `limit` actions before a time and keeps twice as many, so that the actions of a user who
    pages on cannot push out what his first page was planned with.
    """

    def record(self, batch: Sequence[Action]) -> None:
        """Adds actions; those whose event id is there already change nothing.

        Raises:
            ActionsUnavailable: nothing is known to have been written; sending the batch again is safe.
        """
        ...

    def counts(self, user: str, as_of: datetime, window: timedelta) -> Counts:
        """Actions of `[as_of - window, as_of)`, the last `limit` of them, counted by item and kind.

        Raises:
            ActionsUnavailable: the store does not answer within its short time-out.
        """
        ...

    def forget(self, user: str) -> int:
        """Removes everything about a user; returns how many actions were removed."""
        ...
