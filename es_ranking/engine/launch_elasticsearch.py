"""How Elasticsearch is configured and called: as its own start script would."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from es_ranking.engine.launch import Launch, make_folders, shared_settings
from es_ranking.engine.secured import secure

PORTS = range(0)


def configure(launch: Launch) -> None:
    """Writes the node's configuration and makes its folders."""
    make_folders(launch.data)
    config, shipped = launch.data / "config", launch.server / "config"
    (config / "jvm.options.d").mkdir(exist_ok=True)
    (config / "elasticsearch.yml").write_text(yaml.safe_dump(settings_of(launch)), encoding="utf-8")
    options = jvm_options((shipped / "jvm.options").read_text("utf-8"), launch.heap)
    (config / "jvm.options").write_text(options, "utf-8")
    (config / "log4j2.properties").write_bytes((shipped / "log4j2.properties").read_bytes())


def settings_of(launch: Launch) -> dict[str, object]:
    """The node's settings: the shared ones, its places, and security where a password is set."""
    return {
        **shared_settings(),
        "cluster.name": launch.cluster,
        "node.name": launch.name,
        "path.data": str(launch.data / "data"),
        "path.logs": str(launch.data / "logs"),
        "http.port": launch.port,
        **_security(launch),
    }


def _security(launch: Launch) -> dict[str, object]:
    if launch.password is None:
        return {"xpack.security.enabled": False}
    tool = _command_line_tool(launch, "keystore", libraries="lib/tools/keystore-cli")
    return secure(launch, launch.password, keystore_tool=tool)


def jvm_options(shipped: str, heap: str) -> str:
    """The server's own JVM options with our heap, without garbage-collector logs and heap dumps."""
    dropped = ("-Xms", "-Xmx", "HeapDump", "-Xlog", "ErrorFile")
    kept = [line for line in shipped.splitlines() if line and not line.startswith("#")]
    return "\n".join(
        [*(line for line in kept if not any(word in line for word in dropped)), f"-Xms{heap}", f"-Xmx{heap}", ""]
    )


def command(launch: Launch) -> list[str]:
    """The server's launcher."""
    launcher = launch.server / "lib" / "tools" / "server-launcher"
    if launcher.is_dir():
        return [*_java(launch), "-cp", f"{launcher / '*'}", "org.elasticsearch.server.launcher.ServerLauncher"]
    # Releases before 9.4 start through the launcher of all command-line tools.
    return _command_line_tool(launch, "server", libraries="lib/tools/server-cli")


def _command_line_tool(launch: Launch, name: str, *, libraries: str) -> list[str]:
    """One of the server's own tools, as its script in `bin` (which the bundle lacks) would call it."""
    server = launch.server
    properties = {
        "cli.name": name,
        "cli.script": str(server / "bin" / "elasticsearch"),
        "cli.libs": libraries,
        "es.path.home": str(server),
        "es.path.conf": str(launch.data / "config"),
        "es.distribution.type": "zip",
        "es.java.type": "ES_JAVA_HOME",
    }
    told = [f"-D{key}={value}" for key, value in properties.items()]
    jars = f"{server / 'lib/*'}:{server / 'lib/cli-launcher/*'}"
    return [*_java(launch), *told, "-cp", jars, "org.elasticsearch.launcher.CliToolLauncher"]


def _java(launch: Launch) -> list[str]:
    return [str(launch.java / "bin" / "java"), "-Xms4m", "-Xmx64m", "-XX:+UseSerialGC"]


def version_of(server: Path) -> str | None:
    """The release, told by the name of its main jar."""
    for jar in sorted((server / "lib").glob("elasticsearch-*.jar")):
        match = re.fullmatch(r"elasticsearch-(\d+\.\d+\.\d+)\.jar", jar.name)
        if match:
            return match.group(1)
    return None
