"""A step's memory: pages that a fork shares with its parent are counted once, its own are added."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context

import psutil
import pytest

from spark_jobs.peak_memory import PeakMemory, resident, shared_once

MB = 2**20
# A fork is what is measured here; other threads (Python 3.12 warns) do not matter to one that sleeps.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _hold(ready: object, own: int) -> None:
    _kept = bytearray(b"x" * own)
    ready.set()  # type: ignore[attr-defined]
    signal.pause()


@contextmanager
def fork(*, own: int) -> Iterator[psutil.Process]:
    """A fork of this process that writes `own` bytes of its own."""
    context = get_context("fork")
    ready = context.Event()
    child = context.Process(target=_hold, args=(ready, own), daemon=True)
    child.start()
    assert child.pid is not None
    try:
        assert ready.wait(30)
        yield psutil.Process(child.pid)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.join()


def test_what_a_fork_shares_counts_once_and_its_own_is_added() -> None:
    held = bytearray(b"x" * (300 * MB))
    me = psutil.Process()
    before = shared_once([me])
    with fork(own=100 * MB) as child:
        both = shared_once([me, child])
        assert resident([me, child]) > before + 300 * MB, "resident sizes count the shared pages twice"
    assert 90 * MB < both - before < 160 * MB
    assert len(held) == 300 * MB


def test_the_peak_is_of_the_time_inside() -> None:
    with PeakMemory(every=0.01) as memory:
        floor = shared_once([psutil.Process()])
        with fork(own=200 * MB):
            pass
    assert memory.peak_mb * MB > floor + 150 * MB


def test_a_process_that_has_ended_counts_nothing() -> None:
    with fork(own=MB) as child:
        pass
    assert shared_once([child]) == 0
