"""The policy as searches see it: read again every few seconds, and never a reason for a search to fail.

A document that is broken is passed over for the one before it; an engine that does not answer leaves the last good one
in force. Both are flagged in the page.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from es_ranking.engine.contract import Engine
from es_ranking.policy.document import Policy
from es_ranking.policy.store import PolicyStore, Version
from segments.errors import ContractBroken, RankingError

log = logging.getLogger(__name__)
BROKEN, STALE, UNAVAILABLE = "policy_broken", "policy_stale", "policy_unavailable"
LOOK_BACK = 5
KEPT = 100
NOTHING = Policy()


@dataclass(frozen=True)
class Held:
    """A policy in force.

    Args:
        version: 0: there is none.
        flag: `policy_broken` (the latest one is; this is the last good one, or none), `policy_stale` (it cannot be read
            now, this one was read before), `policy_unavailable` (nothing could be read), or empty.
    """

    version: int = 0
    policy: Policy = NOTHING
    flag: str = ""


class Policies(Protocol):
    """Where a search finds its policy."""

    def current(self, alias: str) -> Held:
        """The one in force now. Never raises."""
        ...

    def version(self, alias: str, number: int) -> Held:
        """The one that the first page of a list was made with. Never raises."""
        ...


class LivePolicies:
    """Policies of an engine, remembered for a short time.

    Args:
        fresh_seconds: a new version is in force after this time at the latest.
        timeout_seconds: how long a search waits for its policy; None: as long as for everything.
        clock: seconds, never going back.
    """

    def __init__(
        self, engine: Engine, *, fresh_seconds: float = 2.0, timeout_seconds: float | None = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.fresh_seconds, self.timeout_seconds = fresh_seconds, timeout_seconds
        self.clock = clock
        self._current: dict[str, tuple[float, Held]] = {}
        self._versions: dict[tuple[str, int], Held] = {}

    def current(self, alias: str) -> Held:
        """See `Policies`."""
        now = self.clock()
        read_at, held = self._current.get(alias, (None, Held()))
        if read_at is not None and now - read_at < self.fresh_seconds:
            return held
        try:
            found = self._latest(alias)
            if not found.version and held.version:
                found = Held(held.version, held.policy, STALE)
        except RankingError as error:
            log.warning("the policy cannot be read: %s", error)
            found = Held(held.version, held.policy, STALE if held.version else UNAVAILABLE)
        # a failure is remembered too: an engine that is slow is not asked by every search
        self._current[alias] = (now, found)
        return found

    def version(self, alias: str, number: int) -> Held:
        """See `Policies`."""
        held = self._versions.get((alias, number))
        if held is not None or number == 0:
            return held or Held()
        try:
            store = PolicyStore(self.engine, alias)
            return self._remember(alias, store.version(number, timeout_seconds=self.timeout_seconds))
        except RankingError as error:
            log.warning("version %s of the policy cannot be read: %s", number, error)
            return Held(flag=UNAVAILABLE)

    def _latest(self, alias: str) -> Held:
        store = PolicyStore(self.engine, alias)
        flag = ""
        for version in store.versions(most=LOOK_BACK, timeout_seconds=self.timeout_seconds):
            try:
                held = self._remember(alias, version)
            except ContractBroken as error:
                log.warning("%s", error)
                flag = BROKEN
                continue
            return Held(held.version, held.policy, flag)
        return Held(flag=flag)

    def _remember(self, alias: str, version: Version) -> Held:
        key = (alias, version.version)
        held = self._versions.get(key)
        if held is None:
            held = Held(version.version, version.read())
            while len(self._versions) >= KEPT:
                self._versions.pop(next(iter(self._versions)), None)
            self._versions[key] = held
        return held


@dataclass(frozen=True)
class GivenPolicy:
    """A policy that is not in force: what a preview shows."""

    policy: Policy
    flag: str = ""

    def current(self, alias: str) -> Held:
        """See `Policies`."""
        return Held(policy=self.policy, flag=self.flag)

    def version(self, alias: str, number: int) -> Held:
        """See `Policies`."""
        return self.current(alias)
