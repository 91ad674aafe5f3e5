"""The taste store in memory: for tests, one process, and replays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from threading import Lock

from es_ranking.actions.contract import milliseconds
from es_ranking.tastes.contract import Click, Taste, added
from es_ranking.tastes.vectors import pack, unpack

Key = tuple[str, str]


class MemoryTasteStore:
    """`TasteStore` in dictionaries. Bounded by clicks a user; nothing expires by itself."""

    def __init__(self, *, limit: int = 200) -> None:
        self.limit = limit
        self._lock = Lock()
        self._nights: dict[Key, tuple[int, Taste]] = {}
        self._segments: dict[Key, Taste] = {}
        self._recent: dict[Key, dict[str, tuple[int, bytes]]] = {}

    def load(
        self, space: str, clock: datetime, tastes: Iterable[tuple[str, Taste]], *, segments: Mapping[str, Taste]
    ) -> int:
        fresh = {(space, user): (milliseconds(clock), taste) for user, taste in tastes}
        with self._lock:
            self._nights |= fresh
            self._segments |= {(space, name): taste for name, taste in segments.items()}
        return len(fresh)

    def clicked(self, space: str, clicks: Sequence[Click]) -> None:
        with self._lock:
            for click in clicks:
                held = self._recent.setdefault((space, click.user), {})
                held.setdefault(click.event_id, (milliseconds(click.ts), pack(click.vector)))
                for event in sorted(held, key=lambda e: (held[e][0], e))[: -2 * self.limit]:
                    del held[event]

    def taste(self, space: str, user: str, as_of: datetime, *, segment: str) -> Taste | None:
        with self._lock:
            clock, night = self._nights.get((space, user), (None, None))
            held = sorted(self._recent.get((space, user), {}).items(), key=lambda e: (e[1][0], e[0]))
            group = self._segments.get((space, segment))
        until = milliseconds(as_of)
        recent = [packed for _, (ms, packed) in held if ms < until and (clock is None or ms >= clock)]
        found = added(night, [unpack(packed) for packed in recent[-self.limit :]])
        return found and found.apart_from(group)

    def forget(self, space: str, user: str) -> bool:
        with self._lock:
            night = self._nights.pop((space, user), None)
            return self._recent.pop((space, user), None) is not None or night is not None
