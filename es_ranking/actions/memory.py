"""The recent-action store in memory: for tests, one process, and replays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock

from es_ranking.actions.contract import Action, Counts, milliseconds


class MemoryActionStore:
    """`ActionStore` in a dictionary. Bounded by actions a user; nothing expires by itself."""

    def __init__(self, *, limit: int = 500) -> None:
        self.limit = limit
        self._lock = Lock()
        # user → (event id, item, kind) → ms; the same identity as a member of the Redis sorted set
        self._users: dict[str, dict[tuple[str, str, str], int]] = {}

    def record(self, batch: Sequence[Action]) -> None:
        with self._lock:
            for action in batch:
                held = self._users.setdefault(action.user, {})
                held.setdefault((action.event_id, action.item, action.kind), action.ms)
            for user in {action.user for action in batch}:
                held = self._users[user]
                for identity in sorted(held, key=lambda i: held[i])[: -2 * self.limit]:
                    del held[identity]

    def counts(self, user: str, as_of: datetime, window: timedelta) -> Counts:
        until, since = milliseconds(as_of), milliseconds(as_of - window)
        with self._lock:
            held = list(self._users.get(user, {}).items())
        recent = sorted((ms, identity) for identity, ms in held if since <= ms < until)[-self.limit :]
        found: Counts = {}
        for _, (_, item, kind) in recent:
            by_kind = found.setdefault(item, {})
            by_kind[kind] = by_kind.get(kind, 0) + 1
        return found

    def forget(self, user: str) -> int:
        with self._lock:
            return len(self._users.pop(user, {}))
