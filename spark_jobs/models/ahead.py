"""The next thing is made while this one is used: a thread that stays a few items ahead."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class Ahead(Generic[T]):
    """Iterates over what another iterator gives; errors come out where the item would have.

    The thread begins an item only when one before it has been taken: at most `depth` lie ready or are being made.
    Leaving the loop early needs `close`, or the thread would wait for ever.
    """

    def __init__(self, items: Iterator[T], *, depth: int = 1) -> None:
        self._items, self._ready = items, SimpleQueue[tuple[T | None, BaseException | None]]()
        self._room, self._stop = Semaphore(depth), Event()
        self._thread = Thread(target=self._work, name="ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        try:
            while True:
                item, error = self._ready.get()
                if isinstance(error, StopIteration):
                    return
                if error is not None:
                    raise error
                assert item is not None
                self._room.release()
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Ends the thread, whatever it was about to make."""
        self._stop.set()
        self._room.release()
        self._thread.join()

    def _work(self) -> None:
        torch.set_flush_denormal(True)  # a setting of each thread
        while self._room.acquire() and not self._stop.is_set():
            try:
                self._ready.put((next(self._items), None))
            except BaseException as error:
                self._ready.put((None, error))  # the one who asked meets it
                return
