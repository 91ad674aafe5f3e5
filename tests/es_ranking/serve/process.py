"""The command as a process, as an operator starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def serving(index: str, folder: Path, **environment: str) -> Iterator[str]:
    """The address of a service that listens; stopped as a supervisor would.

    Args:
        folder: its events go to `events` there, what it logs to the file `log`.
    """
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("w") as log:
        served = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", index, "--port", str(port), "--events", str(folder / "events")],
            env={**os.environ, "ES_RANKING_CURSOR_KEY": "a key of sixteen or more", **environment}, stderr=log,
        )  # fmt: skip
        try:
            _wait_for(port, served)
            yield f"http://127.0.0.1:{port}"
        finally:
            served.send_signal(signal.SIGTERM)
            served.wait(20)


def _wait_for(port: int, served: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert served.poll() is None, "the service ended"
        with closing(socket.socket()) as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the service does not listen")
