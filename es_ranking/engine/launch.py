"""What a node's launcher is told, and what all launchers share: loopback, one node, room on a well-filled disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True)
class Launch:
    """One start of a server.

    Attributes:
        server: the unpacked server; only read.
        data: the node's own folder: configuration, data, logs.
        java: home of the JDK.
        heap: such as `512m`.
        password: of the user `elastic`; security and TLS are on with one, off without.
    """

    name: str
    server: Path
    data: Path
    java: Path
    port: int
    heap: str
    password: str | None = field(default=None, repr=False)

    @property
    def cluster(self) -> str:
        return cluster_of(self.name)


def cluster_of(node: str) -> str:
    """The name of a node's cluster: what tells our node from another at the same port."""
    return f"es-ranking-{node}"


class Launcher(Protocol):
    """A product's launcher: a module of two functions and a range.

    Attributes:
        PORTS: the HTTP ports the server can listen on; empty: any.
    """

    PORTS: range

    def configure(self, launch: Launch) -> None:
        """Writes the node's configuration.

        Raises:
            UsageError: security is asked for, and this server has none.
        """

    def command(self, launch: Launch) -> list[str]:
        """The command line that starts the server and stays."""


def make_folders(data: Path) -> None:
    """The folders every launcher needs under a node's own."""
    for folder in ("config", "data", "logs", "tmp"):
        (data / folder).mkdir(parents=True, exist_ok=True)


def shared_settings() -> dict[str, object]:
    """Settings of any node of ours: nobody but this machine reaches it, and its disk limits are a laptop's."""
    return {
        "http.host": "127.0.0.1",
        "transport.host": "127.0.0.1",
        "transport.port": 0,
        "discovery.type": "single-node",
        # The defaults (85, 90 and 95 %) turn a well-filled laptop's indices read-only.
        "cluster.routing.allocation.disk.watermark.low": "1gb",
        "cluster.routing.allocation.disk.watermark.high": "500mb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "250mb",
    }


def environment(launch: Launch) -> dict[str, str]:
    """Only what a launcher reads: our own environment may hold secrets and JVM options meant for others."""
    return {
        **{key: os.environ[key] for key in _KEPT if key in os.environ},
        "HOME": str(launch.data),
        "HOSTNAME": "localhost",
        "JAVA": str(launch.java / "bin" / "java"),
        "JAVA_TYPE": "ES_JAVA_HOME",
        "ES_JAVA_HOME": str(launch.java),
        "ES_HOME": str(launch.server),
        "ES_PATH_CONF": str(launch.data / "config"),
        "ES_TMPDIR": str(launch.data / "tmp"),
        "ES_DISTRIBUTION_TYPE": "zip",
    }
