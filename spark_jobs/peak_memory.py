"""Peak memory of a step: this process, the JVM it started and the Python workers of that, each page counted once.

Resident sizes do not add up: Spark's workers are forks that share their parent's pages, and a process about to become
another program (every `fork` before its `exec`) is for an instant a second copy of all its parent has. On Linux the
kernel tells the proportional share instead (PSS: a page that n processes share counts 1/n in each).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import psutil


class PeakMemory:
    """Within a `with`, samples the memory of this process and all its children; afterwards `peak_mb` is the most seen.

    Args:
        every: seconds between samples.
    """

    def __init__(self, every: float = 0.5) -> None:
        self.peak_mb = 0
        self._every = every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while True:
            processes = [me, *me.children(recursive=True)]
            # Resident sizes are cheap and never too small: the shares, which cost a walk of the page tables, are asked
            # for only where they could make a new peak.
            if resident(processes) // 2**20 > self.peak_mb:
                self.peak_mb = max(self.peak_mb, shared_once(processes) // 2**20)
            if self._done.wait(self._every):
                return


def resident(processes: Iterable[psutil.Process]) -> int:
    """Sum of resident sizes, bytes: pages that processes share count in each. Those that have ended count nothing."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def shared_once(processes: Iterable[psutil.Process]) -> int:
    """Memory of some processes, bytes, with a page they share counted once.

    A child with its parent's own address space (`vfork`, `posix_spawn`: it has not become its program yet) counts
    nothing; it is known by the same virtual size, to the byte. Where the system tells no proportional shares (not
    Linux), resident sizes.
    """
    total = 0
    spaces: dict[int, int] = {}
    for process in processes:
        try:
            memory = process.memory_full_info()
            parent = process.ppid()
        except psutil.Error:
            continue
        spaces[process.pid] = memory.vms
        if spaces.get(parent) != memory.vms:
            total += getattr(memory, "pss", memory.rss)
    return total
