"""`es-ranking node`: the embedded search engine and Redis."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.output import emit, output_option
from es_ranking.engine.connect import connect
from es_ranking.engine.node import answers, node_state, start_node, stop_node
from es_ranking.engine.places import DEFAULT_NODE, node_folder
from es_ranking.engine.redis_node import redis_answers, redis_state, start_redis, stop_redis
from es_ranking.engine.releases import RELEASES
from es_ranking.engine.secured import FILE, read_access
from es_ranking.engine.transport import PRODUCTS

Row = dict[str, Any]


@click.group(name="node")
def group() -> None:
    """Start, stop and look at the embedded Elasticsearch (or OpenSearch) and Redis.

    They are for development, tests and the demo. Where ES_URL (or ELASTICSEARCH_URL) and REDIS_URL are set, those
    servers are used instead and nothing is started.
    """


def name_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--name`: several nodes can run side by side."""
    return click.option("--name", default=DEFAULT_NODE, show_default=True, help="Which node.")(command)


@group.command(name="start")
@name_option
@click.option(
    "--engine",
    "product",
    type=click.Choice(sorted(PRODUCTS)),
    help=f"Which search engine.  [default: {RELEASES[0].product}]",
)
@click.option("--version", help=f"Which release of it: {', '.join(release.id for release in RELEASES)}.")
@click.option("--port", type=click.IntRange(1, 65535), help="HTTP port on 127.0.0.1.  [default: a free one]")
@click.option("--heap", default="512m", show_default=True, help="Java heap, such as 512m or 2g.")
@click.option(
    "--es-home", type=click.Path(path_type=Path), help="Any unpacked Elasticsearch instead of the cached one."
)
@click.option("--secure", is_flag=True, help="Security and TLS on; source the file it names to get in.")
@click.option("--wait", "wait_seconds", default=240.0, show_default=True, help="Seconds to wait until it answers.")
@click.option("--redis/--no-redis", default=True, show_default=True, help="Start Redis as well.")
@click.option("--redis-port", type=click.IntRange(1, 65535), help="Port of Redis.  [default: a free one]")
@output_option
def start(
    name: str,
    product: str | None,
    version: str | None,
    port: int | None,
    heap: str,
    es_home: Path | None,
    secure: bool,
    wait_seconds: float,
    redis: bool,
    redis_port: int | None,
    output: str,
) -> None:
    """Start the node and wait until it answers; one that runs already is left as it is.

    The first start fetches the server (Elasticsearch 9.4.3: 950 MB, of which 160 MB are kept; OpenSearch: 62 MB) and
    verifies it, into the cache folder: ES_RANKING_CACHE, or es-ranking under XDG_CACHE_HOME or ~/.cache. A JDK 21 or
    newer (17 to 23 for Elasticsearch 8.16.1) is looked for in ES_JAVA_HOME, JAVA_HOME, the PATH and the usual folders.

    \b
    Example:
      es-ranking node start
      es-ranking node start --name big --heap 2g --port 9200
      es-ranking node start --name open --engine opensearch
      es-ranking node start --name safe --secure --no-redis
    """
    rows: list[Row] = []
    given = _given_engine()
    if given:
        engine = connect(given)
        rows.append({"server": engine.product, "url": engine.url, "state": "given by ES_URL"})
    else:
        state = start_node(
            name, product=product, version=version, port=port, heap=heap, es_home=es_home, secure=secure,
            wait_seconds=wait_seconds,
        )  # fmt: skip
        rows.append({"server": state.product, "url": state.url, "state": "running", "pid": state.pid,
                     "version": state.version, "folder": state.folder,
                     **({"access": str(node_folder(name) / FILE)} if secure else {})})  # fmt: skip
    if redis:
        rows.append(_started_redis(name, redis_port))
    emit(rows, output)


@group.command(name="stop")
@name_option
@output_option
def stop(name: str, output: str) -> None:
    """Stop the node, by its own process id and nothing else. Its data stays.

    \b
    Example:
      es-ranking node stop
    """
    state = node_state(name)
    product = state.product if state else RELEASES[0].product
    stopped = {product: stop_node(name), "redis": stop_redis(name)}
    emit([{"server": server, "state": "stopped" if ran else "did not run"} for server, ran in stopped.items()], output)


@group.command(name="status")
@name_option
@output_option
def status(name: str, output: str) -> None:
    """Show which servers are used and whether they answer.

    \b
    Example:
      es-ranking node status --output json
    """
    emit([_engine_row(name), _redis_row(name)], output)


def _started_redis(name: str, port: int | None) -> Row:
    given = os.environ.get("REDIS_URL")
    if given:
        return _redis_row(name)
    state = start_redis(name, port=port)
    return {"server": "redis", "url": state.url, "state": "running", "pid": state.pid, "folder": state.folder}


def _engine_row(name: str) -> Row:
    given = _given_engine()
    if given:
        engine = connect(given)
        number = engine.info()["version"]["number"]
        return {"server": engine.product, "url": engine.url, "state": "given by ES_URL", "version": number}
    state = node_state(name)
    if state is None:
        return {"server": RELEASES[0].product, "state": "stopped"}
    told = "running" if answers(state.url, access=read_access(node_folder(name))) else "starting"
    return {"server": state.product, "url": state.url, "state": told, "pid": state.pid, "version": state.version,
            "folder": state.folder}  # fmt: skip


def _redis_row(name: str) -> Row:
    given = os.environ.get("REDIS_URL")
    if given:
        # The URL may carry a password: only its host is shown.
        return {"server": "redis", "url": given.rpartition("@")[2], "state": _told(given, "given by REDIS_URL")}
    state = redis_state(name)
    if state is None:
        return {"server": "redis", "state": "stopped"}
    return {"server": "redis", "url": state.url, "state": _told(state.url, "running"), "pid": state.pid,
            "folder": state.folder}  # fmt: skip


def _told(url: str, state: str) -> str:
    return state if redis_answers(url) else "does not answer"


def _given_engine() -> str | None:
    return os.environ.get("ES_URL") or os.environ.get("ELASTICSEARCH_URL")
