"""Work for threads, bounded twice: by how many requests may wait, and by how long each may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from es_ranking.serve.statuses import Overloaded, TookTooLong

Answer = TypeVar("Answer")


class Pool:
    """Threads in which blocking calls run.

    Args:
        threads: calls at once.
        waiting: calls that may wait for a thread.
        timeout_seconds: from asking to answer. The thread of a late call is busy until the engine's own time-out ends
            it, and counts until then: an engine that hangs fills the pool, and is then answered for at once.
    """

    def __init__(self, *, threads: int, waiting: int, timeout_seconds: float) -> None:
        self.most = threads + waiting
        self.timeout_seconds = timeout_seconds
        self.held = 0
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="serve")

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """What the call answers.

        Raises:
            Overloaded: too many wait already; TookTooLong: no answer in time.
        """
        with self._lock:
            if self.held >= self.most:
                raise Overloaded(f"{self.held} requests wait already")
            self.held += 1
        future = self._threads.submit(call)
        future.add_done_callback(self._done)
        try:
            # what has begun is left to end by itself, what has not never will begin
            return await asyncio.wait_for(asyncio.wrap_future(future), self.timeout_seconds)
        except TimeoutError as error:
            raise TookTooLong(f"no answer within {self.timeout_seconds:g} s") from error

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self.held -= 1

    def close(self) -> None:
        """Lets running calls end."""
        self._threads.shutdown(wait=True, cancel_futures=True)
