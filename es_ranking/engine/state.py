"""What we remember of a server we started: written when it answers, believed only while that very process lives."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from segments.whole import write_whole


@dataclass(frozen=True)
class NodeState:
    """A server's process and address.

    Attributes:
        born: when the process began, as the system tells it: tells our process from a later one with the same id.
        folder: where its data lies.
        product: which search engine; nothing for Redis.
    """

    url: str
    pid: int
    born: str
    folder: str
    version: str = ""
    product: str = ""

    FILE = "state.json"

    @classmethod
    def read(cls, folder: Path, *, file: str = FILE) -> Self | None:
        """The state kept in the folder; None if there is none or it is unreadable."""
        try:
            return cls(**json.loads((folder / file).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path, *, file: str = FILE) -> None:
        """Whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / file, json.dumps(asdict(self), indent=1))

    @staticmethod
    def forget(folder: Path, *, file: str = FILE) -> None:
        """Removes the file, if it is there."""
        (folder / file).unlink(missing_ok=True)

    def running(self) -> bool:
        """Whether exactly this process still lives."""
        return born(self.pid) == self.born

    def stop(self, *, patience_seconds: float = 30.0) -> bool:
        """Asks the process group to end, insists after a while. Whether there was anything to stop."""
        if not self.running():
            return False
        for number, patience in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 10.0)):
            self._signal(number)
            deadline = time.monotonic() + patience
            while self._group_lives():
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            else:
                break
        return True

    def _signal(self, number: int) -> None:
        # We start every server as the leader of its own session: its group is its own, and nobody else's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _group_lives(self) -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # our own child would linger as a zombie
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def born(pid: int) -> str | None:
    """When a process began, in the system's own words; None if there is no such process (or it is a zombie)."""
    try:
        # The name in parentheses may hold anything; what follows its last ")" is fixed: state first, start time 20th.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return told.stdout.strip() or None
    return None if fields[0] == "Z" else fields[19]
