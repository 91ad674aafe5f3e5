"""A versioned document as searches see it: read again every few seconds, and never a reason for a search to fail.

A document that is broken is passed over for the one before it; an engine that does not answer leaves the last good one
in force. Both are flagged in the page: `<kind>_broken`, `<kind>_stale`, `<kind>_unavailable`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from es_ranking.engine.contract import Engine
from es_ranking.versions.store import Version, VersionStore
from segments.config import Settings
from segments.errors import ContractBroken, RankingError

log = logging.getLogger(__name__)
LOOK_BACK = 5
KEPT = 100
FLAGS = ("broken", "stale", "unavailable")
D = TypeVar("D", bound=Settings)


@dataclass(frozen=True)
class Held(Generic[D]):
    """A document in force.

    Args:
        document: an empty one where there is none.
        version: 0: there is none.
        flag: `…_broken` (the latest one is; this is the last good one, or none), `…_stale` (it cannot be read now,
            this one was read before), `…_unavailable` (nothing could be read), or empty.
    """

    document: D
    version: int = 0
    flag: str = ""


class Documents(Protocol[D]):
    """Where a search finds its document."""

    def current(self, alias: str) -> Held[D]:
        """The one in force now. Never raises."""
        ...

    def version(self, alias: str, number: int) -> Held[D]:
        """The one that the first page of a list was made with. Never raises."""
        ...


class LiveDocuments(Generic[D]):
    """Documents of an engine, remembered for a short time; a kind is a subclass that says `store`.

    Args:
        fresh_seconds: a new version is in force after this time at the latest.
        timeout_seconds: how long a search waits for its document; None: as long as for everything.
        clock: seconds, never going back.
    """

    store: ClassVar[type[VersionStore]]  # type: ignore[type-arg]

    def __init__(
        self, engine: Engine, *, fresh_seconds: float = 2.0, timeout_seconds: float | None = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.fresh_seconds, self.timeout_seconds = fresh_seconds, timeout_seconds
        self.clock = clock
        kind = self.store.kind
        self._nothing: Held[D] = Held(kind.document())
        self._broken, self._stale, self._unavailable = (f"{kind.name}_{how}" for how in FLAGS)
        self._current: dict[str, tuple[float, Held[D]]] = {}
        self._versions: dict[tuple[str, int], Held[D]] = {}

    def current(self, alias: str) -> Held[D]:
        """See `Documents`."""
        now = self.clock()
        read_at, held = self._current.get(alias, (None, self._nothing))
        if read_at is not None and now - read_at < self.fresh_seconds:
            return held
        try:
            found = self._latest(alias)
            if not found.version and held.version:
                found = Held(held.document, held.version, self._stale)
        except RankingError as error:
            log.warning("the %s cannot be read: %s", self.store.kind.name, error)
            found = Held(held.document, held.version, self._stale if held.version else self._unavailable)
        # a failure is remembered too: an engine that is slow is not asked by every search
        self._current[alias] = (now, found)
        return found

    def version(self, alias: str, number: int) -> Held[D]:
        """See `Documents`."""
        held = self._versions.get((alias, number))
        if held is not None or number == 0:
            return held or self._nothing
        try:
            store = self.store(self.engine, alias)
            return self._remember(alias, store.version(number, timeout_seconds=self.timeout_seconds))
        except RankingError as error:
            log.warning("version %s of the %s cannot be read: %s", number, self.store.kind.name, error)
            return Held(self._nothing.document, flag=self._unavailable)

    def _latest(self, alias: str) -> Held[D]:
        store = self.store(self.engine, alias)
        flag, seen = "", 0
        # documents are large and the latest is nearly always whole: those before it come only where it is not
        for most in (1, LOOK_BACK):
            versions = store.versions(most=most, timeout_seconds=self.timeout_seconds)
            for version in versions[seen:]:
                try:
                    held = self._remember(alias, version)
                except ContractBroken as error:
                    log.warning("%s", error)
                    flag = self._broken
                    continue
                return Held(held.document, held.version, flag)
            if len(versions) < most:
                break
            seen = most
        return Held(self._nothing.document, flag=flag)

    def _remember(self, alias: str, version: Version[D]) -> Held[D]:
        key = (alias, version.version)
        held = self._versions.get(key)
        if held is None:
            held = Held(version.read(), version.version)
            while len(self._versions) >= KEPT:
                self._versions.pop(next(iter(self._versions)), None)
            self._versions[key] = held
        return held


@dataclass(frozen=True)
class Given(Generic[D]):
    """A document that is not in force: what a preview shows."""

    document: D
    flag: str = ""

    def current(self, alias: str) -> Held[D]:
        """See `Documents`."""
        return Held(self.document, flag=self.flag)

    def version(self, alias: str, number: int) -> Held[D]:
        """See `Documents`."""
        return self.current(alias)
