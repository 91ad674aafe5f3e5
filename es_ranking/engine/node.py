"""The embedded search engine: a real node on loopback, for development, tests and the demo. Never for production.

Started as a process of its own session, known by its process id and birth, stopped by exactly that; several nodes can
run side by side, each under its own name.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from es_ranking.engine.bundle import ensure_server
from es_ranking.engine.jdk import find_java
from es_ranking.engine.launch import Launch, cluster_of, environment
from es_ranking.engine.launch_elasticsearch import version_of
from es_ranking.engine.places import DEFAULT_NODE, node_folder
from es_ranking.engine.releases import Release, release_of
from es_ranking.engine.secured import read_access, write_access
from es_ranking.engine.state import NodeState, born
from es_ranking.engine.transport import PRODUCTS, EngineConfig
from es_ranking.engine.unprivileged import Identity, identity, reachable, reachable_copy, shared_folder
from segments.errors import EngineUnreachable, UsageError
from segments.hashing import hash64

log = logging.getLogger("es_ranking.node")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_HEAP = re.compile(r"[1-9][0-9]*[mg]")


def start_node(
    name: str = DEFAULT_NODE,
    *,
    product: str | None = None,
    version: str | None = None,
    port: int | None = None,
    heap: str = "512m",
    es_home: Path | None = None,
    secure: bool = False,
    wait_seconds: float = 240.0,
) -> NodeState:
    """Starts the named node and waits until it answers; a node that runs already is returned as it is.

    Args:
        product, version: one of `es_ranking.engine.releases`; without a version the product's first.
        port: HTTP port on 127.0.0.1; a free one without it.
        heap: such as `512m` or `2g`.
        es_home: any unpacked Elasticsearch instead of a cached server (fetched on first use).
        secure: with security and TLS; see `secured`.

    Raises:
        UsageError: bad name, heap, port in use, no such server, another one runs under the name, no JDK, no
            Elasticsearch at `es_home`, a server without security.
        Refused: no disk space.
        ContractBroken: the download is broken.
        EngineUnreachable: it did not come up; says what its log says.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"a node's name has lower-case letters, digits and hyphens, not {name!r}")
    if not _HEAP.fullmatch(heap):
        raise UsageError(f"heap must look like 512m or 2g, not {heap!r}")
    release = release_of(product, version)
    if es_home is not None:
        if product or version:
            raise UsageError("an unpacked server has its own product and version", where=str(es_home))
        release = replace(release, version=_version_at(es_home))
    folder = node_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    with _one_starter(folder):
        state = NodeState.read(folder)
        if state is not None and state.running():
            if (product or version) and (state.product, state.version) != (release.product, release.version):
                raise UsageError(
                    f"the node {name} runs {PRODUCTS.get(state.product, 'something')} {state.version}",
                    hint="stop it, or choose another --name",
                )
            if secure and read_access(folder) is None:
                raise UsageError(f"the node {name} runs without security", hint="stop it, or choose another --name")
            _wait(name, state, wait_seconds=wait_seconds)
            return state
        NodeState.forget(folder)  # of a process that is gone
        java = find_java(release.java, also=[es_home / "jdk"] if es_home else [])
        server = es_home.absolute() if es_home else ensure_server(release, java=java.binary)
        port = free_port(port, among=release.launcher.PORTS)
        password = secrets.token_urlsafe(24) if secure else None
        state = _start(
            name, folder, release, server=server, java=java.home, port=port, heap=heap, password=password
        )  # fmt: skip
        try:
            _wait(name, state, wait_seconds=wait_seconds)
        except BaseException:
            state.stop(patience_seconds=5.0)
            NodeState.forget(folder)
            raise
        return state


def stop_node(name: str = DEFAULT_NODE) -> bool:
    """Stops the named node, and nothing else. Whether it ran."""
    folder = node_folder(name)
    state = NodeState.read(folder)
    ran = state.stop() if state is not None else False
    NodeState.forget(folder)
    return ran


def node_state(name: str = DEFAULT_NODE) -> NodeState | None:
    """The named node if its process lives."""
    state = NodeState.read(node_folder(name))
    return state if state is not None and state.running() else None


def remove_node(name: str) -> None:
    """Stops the named node and removes its data and state."""
    folder = node_folder(name)
    stop_node(name)
    shutil.rmtree(_data_folder(name, folder, identity()), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def answers(
    url: str, *, cluster: str | None = None, access: EngineConfig | None = None, timeout_seconds: float = 2.0
) -> bool:
    """Whether a search engine answers there (to whom has access), that of the named cluster if one is named."""
    health = urllib.request.Request(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s")
    # A proxy of the environment knows nothing of our loopback.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    try:
        if access is not None:
            health.headers.update(access.headers())
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=access.ca_certs)))
        with urllib.request.build_opener(*handlers).open(health, timeout=timeout_seconds) as told:
            return bool(told.status == 200) and cluster in {None, json.load(told)["cluster_name"]}
    except (OSError, ValueError, LookupError):
        return False


def _start(
    name: str, folder: Path, release: Release, *, server: Path, java: Path, port: int, heap: str, password: str | None
) -> NodeState:
    who = identity()
    if not reachable(java / "bin" / "java", who):
        raise UsageError(
            "the engine does not run as root, and the user `nobody` cannot reach this JDK", where=str(java)
        )
    # Another server's data is nothing it could read: each has a folder of its own under the node's.
    home = _data_folder(name, folder, who)
    data = home / (f"{release.id}-secured" if password else release.id)
    launch = Launch(name, reachable_copy(server, who), data, java, port, heap, password)
    release.launcher.configure(launch)
    if who is not None:
        for path in (home, *home.rglob("*")):
            os.chown(path, who.uid, who.gid, follow_symlinks=False)
    log.info("starting %s %s on port %d (heap %s)", PRODUCTS[release.product], release.version, port, heap)
    with (data / "logs" / "console.log").open("wb") as console:
        process = subprocess.Popen(
            release.launcher.command(launch),
            env=environment(launch),
            cwd=launch.server,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=None if who is None else who.uid,
            group=None if who is None else who.gid,
            extra_groups=None if who is None else [],
        )
    state = NodeState(
        url=f"{'https' if password else 'http'}://127.0.0.1:{port}", pid=process.pid, born=born(process.pid) or "",
        folder=str(data), version=release.version, product=release.product,
    )  # fmt: skip
    write_access(folder, launch, state.url)
    # Written at once: a start that is interrupted leaves a node that `stop` knows.
    state.write(folder)
    return state


def _wait(name: str, state: NodeState, *, wait_seconds: float) -> None:
    began = time.monotonic()
    access = read_access(node_folder(name))
    while not answers(state.url, cluster=cluster_of(name), access=access):
        if not state.running():
            raise EngineUnreachable(
                f"the node ended while starting: {_last_words(Path(state.folder))}", where=state.folder
            )
        if time.monotonic() - began > wait_seconds:
            why = f"the node did not answer within {wait_seconds:.0f} s: {_last_words(Path(state.folder))}"
            raise EngineUnreachable(why, where=state.folder)
        time.sleep(0.25)


def _last_words(data: Path) -> str:
    try:
        lines = (data / "logs" / "console.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it left no log"
    telling = [line for line in lines if re.search(r"ERROR|FATAL|[Ee]xception|[Ee]rror:|fatal", line)]
    return " ".join((telling or lines or ["it said nothing"])[0].split())[:300]


def _data_folder(name: str, folder: Path, who: Identity | None) -> Path:
    """Beside the state file, unless the engine's user could not walk there."""
    return folder / "engine" if reachable(folder / "engine", who) else shared_folder() / "nodes" / _place(folder, name)


def _place(folder: Path, name: str) -> str:
    return f"{name}-{hash64(str(folder)):016x}"


def _version_at(es_home: Path) -> str:
    if not (es_home / "lib").is_dir() or not (es_home / "config").is_dir():
        raise UsageError("no unpacked Elasticsearch lies there (no lib and config folders)", where=str(es_home))
    return version_of(es_home) or "unknown"


def free_port(wanted: int | None = None, *, among: Iterable[int] = ()) -> int:
    """The wanted port of 127.0.0.1 if nobody listens there, or the first free one among some, or any.

    Raises:
        UsageError: somebody listens there, or the wanted one is not among them.
    """
    choices = list(among)
    if wanted and choices and wanted not in choices:
        raise UsageError(f"this engine listens on ports {choices[0]} to {choices[-1]} only, not {wanted}")
    for port in [wanted] if wanted else choices or [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UsageError(f"port {wanted} is in use" if wanted else "no port is free", hint="choose another with --port")


@contextmanager
def _one_starter(folder: Path) -> Iterator[None]:
    handle = os.open(folder / "start.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
