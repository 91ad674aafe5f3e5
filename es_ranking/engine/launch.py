"""How a server of the embedded node is configured and called: pure functions of folders, ports and versions."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


def configure(data: Path, *, server: Path, name: str, port: int, heap: str) -> None:
    """Writes the node's configuration and makes its folders under `data`."""
    for folder in ("config/jvm.options.d", "data", "logs", "tmp"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    config = data / "config"
    (config / "elasticsearch.yml").write_text(yaml.safe_dump(settings_of(data, name=name, port=port)), encoding="utf-8")
    (config / "jvm.options").write_text(
        jvm_options((server / "config" / "jvm.options").read_text("utf-8"), heap), "utf-8"
    )
    (config / "log4j2.properties").write_bytes((server / "config" / "log4j2.properties").read_bytes())


def settings_of(data: Path, *, name: str, port: int) -> dict[str, object]:
    """The node's settings: loopback, alone, no security, disk limits that a laptop can hold."""
    return {
        "cluster.name": f"es-ranking-{name}",
        "node.name": name,
        "path.data": str(data / "data"),
        "path.logs": str(data / "logs"),
        "http.host": "127.0.0.1",
        "http.port": port,
        "transport.host": "127.0.0.1",
        "transport.port": 0,
        "discovery.type": "single-node",
        "xpack.security.enabled": False,
        # The defaults (85, 90 and 95 %) turn a well-filled laptop's indices read-only.
        "cluster.routing.allocation.disk.watermark.low": "1gb",
        "cluster.routing.allocation.disk.watermark.high": "500mb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "250mb",
    }


def jvm_options(shipped: str, heap: str) -> str:
    """The server's own JVM options with our heap, without garbage-collector logs and heap dumps."""
    dropped = ("-Xms", "-Xmx", "HeapDump", "-Xlog", "ErrorFile")
    kept = [line for line in shipped.splitlines() if line and not line.startswith("#")]
    return "\n".join(
        [*(line for line in kept if not any(word in line for word in dropped)), f"-Xms{heap}", f"-Xmx{heap}", ""]
    )


def launch_command(server: Path, *, data: Path, java: Path) -> list[str]:
    """The server's launcher, called as its own start script would."""
    command = [str(java / "bin" / "java"), "-Xms4m", "-Xmx64m", "-XX:+UseSerialGC"]
    if (server / "lib" / "tools" / "server-launcher").is_dir():
        return [
            *command,
            "-cp",
            str(server / "lib/tools/server-launcher/*"),
            "org.elasticsearch.server.launcher.ServerLauncher",
        ]
    # Releases before 9.4 start through the launcher of all command-line tools.
    properties = {
        "cli.name": "server",
        "cli.script": str(server / "bin" / "elasticsearch"),
        "cli.libs": "lib/tools/server-cli",
        "es.path.home": str(server),
        "es.path.conf": str(data / "config"),
        "es.distribution.type": "zip",
        "es.java.type": "ES_JAVA_HOME",
    }
    jars = f"{server / 'lib/*'}:{server / 'lib/cli-launcher/*'}"
    return [
        *command,
        *(f"-D{key}={value}" for key, value in properties.items()),
        "-cp",
        jars,
        "org.elasticsearch.launcher.CliToolLauncher",
    ]


def launch_environment(data: Path, *, server: Path, java: Path) -> dict[str, str]:
    """Only what the launcher reads: our own environment may hold secrets and JVM options meant for others."""
    return {
        **{key: os.environ[key] for key in _KEPT if key in os.environ},
        "HOME": str(data),
        "HOSTNAME": "localhost",
        "JAVA": str(java / "bin" / "java"),
        "JAVA_TYPE": "ES_JAVA_HOME",
        "ES_JAVA_HOME": str(java),
        "ES_HOME": str(server),
        "ES_PATH_CONF": str(data / "config"),
        "ES_TMPDIR": str(data / "tmp"),
        "ES_DISTRIBUTION_TYPE": "zip",
    }


def version_of(server: Path) -> str | None:
    """The release, told by the name of its main jar."""
    for jar in sorted((server / "lib").glob("elasticsearch-*.jar")):
        match = re.fullmatch(r"elasticsearch-(\d+\.\d+\.\d+)\.jar", jar.name)
        if match:
            return match.group(1)
    return None
