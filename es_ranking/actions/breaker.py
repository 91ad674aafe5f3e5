"""A circuit breaker: a store that is down costs one short time-out now and then, not one a search."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock


class Breaker:
    """Opens after some failures in a row; after a pause lets one call through to see.

    Args:
        failures: failures in a row that open it.
        pause_seconds: how long it stays open.
        clock: seconds of any monotonic clock (tests bring their own).
    """

    def __init__(
        self, *, failures: int = 3, pause_seconds: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.failures = failures
        self.pause_seconds = pause_seconds
        self._clock = clock
        self._lock = Lock()
        self._failed = 0
        self._until = 0.0

    def allows(self) -> bool:
        """Whether a call may be tried now."""
        with self._lock:
            if self._failed < self.failures:
                return True
            if self._clock() < self._until:
                return False
            # one probe; others wait another pause, unless it succeeds
            self._until = self._clock() + self.pause_seconds
            return True

    def succeeded(self) -> None:
        """The call answered."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """The call did not answer."""
        with self._lock:
            self._failed += 1
            self._until = self._clock() + self.pause_seconds
