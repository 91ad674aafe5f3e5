"""The real servers that tests stand on: one Elasticsearch, one Redis, one Spark session a test run.

`ES_URL` and `REDIS_URL` name servers to use instead; what we start ourselves we stop. Tests share them: they use names
of their own (`index_name`) and leave nothing behind.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import Engine
from es_ranking.engine.node import remove_node, start_node
from es_ranking.engine.places import node_folder
from es_ranking.engine.redis_node import start_redis, stop_redis
from es_ranking.engine.releases import RELEASES, Release
from es_ranking.engine.secured import read_access
from es_ranking.engine.state import born
from es_ranking.engine.transport import EngineConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.es_ranking.publish.shop import Publisher


# Networks of tests are small: threads that meet after every step cost more than they give, beside Spark most of all.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Spark's sessions are short and two at a time: the second compiler and a parallel collector cost more than they give.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# At a developer's desk hypothesis looks for new cases; a landing must not depend on luck.
# Nowhere may it depend on how busy the machine is.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


class _ByServers(LoadFileScheduling):
    """In one process what shares servers or a night: a file, all whole nights, all tests of another engine."""

    def _split_scope(self, nodeid: str) -> str:
        engine = next((release.id for release in RELEASES[1:] if release.id in nodeid), None)
        file: str = super()._split_scope(nodeid)
        return engine or ("tests/integration" if file.startswith("tests/integration/") else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """How `-n` deals the tests out."""
    return _ByServers(config, log)


# Whatever is tested on an engine is tested on all of them, by the same functions: `make test` takes the first one.
NODES = [
    pytest.param(release, id=release.id, marks=[pytest.mark.engines] if number else [])
    for number, release in enumerate(RELEASES)
]


@pytest.fixture(scope="session", params=NODES)
def engine_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a real search engine: `ES_URL` or our own; with the marker `engines`, of each other release in turn."""
    release: Release = request.param
    given = os.environ.get("ES_URL") or os.environ.get("ELASTICSEARCH_URL")
    if given and release is RELEASES[0]:
        yield given
        return
    # A name of its own: test runs side by side, and never the developer's own node.
    name = f"test-{os.getpid()}"
    _remove_orphans()
    try:
        yield start_node(name, product=release.product, version=release.version, heap="768m").url
    finally:
        remove_node(name)


def _remove_orphans() -> None:
    """Nodes of test runs that were killed: their names tell whose they were."""
    for folder in node_folder("x").parent.glob("test-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and born(int(owner)) is None:
            stop_redis(folder.name)
            remove_node(folder.name)


@pytest.fixture(scope="session")
def engine(engine_url: str) -> Iterator[Engine]:
    """An engine on a real node."""
    connected = connect(engine_url, opaque_id="es-ranking-tests")
    yield connected
    connected.close()


@pytest.fixture(scope="session", params=[node for node in NODES if node.values[0].product == "elasticsearch"])
def secured(request: pytest.FixtureRequest) -> Iterator[EngineConfig]:
    """How its administrator gets into a node of its own that has security and TLS on."""
    release: Release = request.param
    name = f"test-{os.getpid()}-secured"
    _remove_orphans()
    try:
        start_node(name, product=release.product, version=release.version, heap="384m", secure=True)
        access = read_access(node_folder(name))
        assert access is not None
        yield access
    finally:
        remove_node(name)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a real Redis."""
    if os.environ.get("REDIS_URL"):
        yield os.environ["REDIS_URL"]
        return
    name = f"test-{os.getpid()}-redis"
    try:
        yield start_redis(name).url
    finally:
        stop_redis(name)
        remove_node(name)


@pytest.fixture
def index_name(engine: Engine) -> Iterator[str]:
    """A name nobody else uses; every index that begins with it is removed afterwards."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    for state in engine.indices(f"{name}*"):
        engine.delete_index(state.name, missing_ok=True)


@pytest.fixture
def published(engine: Engine, index_name: str) -> Publisher:
    """Publishes a night of the small shop under `index_name`."""
    from tests.es_ranking.publish.shop import publish_night

    return partial(publish_night, engine, index_name)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A local Spark session with two cores."""
    from spark_jobs.session import spark_session

    session = spark_session("es-ranking tests", master="local[2]", memory="2g")
    yield session
    session.stop()
