"""The life of a node of our own: it starts, its disk fills up, it is restarted in the middle of a publish, it ends.

In this order, on one node: to start one takes as long as everything else here together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineBusy, EngineUnreachable
from es_ranking.engine.node import node_state, remove_node, start_node, stop_node
from es_ranking.engine.releases import RELEASES, Release
from es_ranking.engine.state import NodeState
from es_ranking.publish.generation import generations
from segments.errors import UsageError
from tests.conftest import NODES
from tests.contracts.fault_proxy import Exchange, fault_proxy, passing
from tests.es_ranking.publish.shop import SETTINGS, publish_night
from tests.es_ranking.publish.watch import Searcher, turn_of

ALIAS, BULK = "shop", "POST /_bulk"
MARKS = [f"cluster.routing.allocation.disk.watermark.{mark}" for mark in ("low", "high", "flood_stage")]
PATIENT = SETTINGS.model_copy(update={"backoff_seconds": 0.5, "max_backoff_seconds": 2.0, "max_retries": 60})


@dataclass(frozen=True)
class Node:
    """A node of our own, and who speaks to it."""

    name: str
    release: Release
    state: NodeState
    engine: Engine

    def restart(self) -> None:
        """At the same port, with what is on its disk."""
        assert stop_node(self.name)
        _start(self.name, self.release, port=int(self.state.url.rpartition(":")[2]))

    def settle(self, values: dict[str, Any]) -> None:
        """Changes settings of the cluster."""
        httpx.put(f"{self.state.url}/_cluster/settings", json={"persistent": values}, timeout=60).raise_for_status()


def _start(name: str, release: Release, port: int | None = None) -> NodeState:
    return start_node(name, product=release.product, version=release.version, heap="256m", port=port)


@pytest.fixture(scope="module", params=NODES)
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    name, release = f"test-{os.getpid()}-life", request.param
    try:
        state = _start(name, release)
        engine = connect(state.url)
        publish_night(engine, ALIAS, "20171127T000000", turn=0)
        yield Node(name, release, state, engine)
        engine.close()
    finally:
        remove_node(name)


def test_it_is_what_was_asked_for(node: Node) -> None:
    assert start_node(node.name) == node.state
    assert node.engine.product == node.state.product == node.release.product
    told = node.engine.info()
    assert (told["cluster_name"], told["version"]["number"]) == (f"es-ranking-{node.name}", node.release.version)
    other = next(one for one in RELEASES if one is not node.release)
    with pytest.raises(UsageError, match=f"the node {node.name} runs .* {node.release.version}"):
        start_node(node.name, product=other.product, version=other.version)
    if os.geteuid() == 0:
        assert Path(f"/proc/{node.state.pid}").stat().st_uid != 0
    with pytest.raises(UsageError, match="is in use"):
        start_node(f"{node.name}-2", port=int(node.state.url.rpartition(":")[2]))
    remove_node(f"{node.name}-2")


def test_a_disk_that_fills_up(node: Node) -> None:
    engine = node.engine

    def full(exchange: Exchange) -> None:
        node.settle({"cluster.info.update.interval": "10s", **dict.fromkeys(MARKS, "100000tb")})
        writing = next(one.generation.index for one in generations(engine, ALIAS) if one.half)
        _until(lambda: "index.blocks.read_only_allow_delete" in engine.indices(writing)[0].settings)
        passing(exchange)

    before = turn_of(engine, ALIAS)
    with fault_proxy(node.state.url) as line, Searcher(engine, ALIAS):
        line.plan(BULK, None, None, full)
        with pytest.raises(EngineBusy):
            publish_night(connect(line.url), ALIAS, "20171128T000000", turn=1)
    assert turn_of(engine, ALIAS) == before
    assert not any(one.half for one in generations(engine, ALIAS)), "deleting is what a full disk still allows"
    node.settle(dict.fromkeys(MARKS))
    # the engine opens what it closed at its next look at the disk
    held = "index.blocks.read_only_allow_delete"
    _until(lambda: not any(held in one.settings for one in engine.indices(f"{ALIAS}*")))
    node.settle({"cluster.info.update.interval": None})
    if engine.product == "opensearch":
        # and this one closes the whole cluster to new indices besides
        node.settle({"cluster.blocks.create_index": None})


def test_a_restart_in_the_middle_of_a_publish(node: Node) -> None:
    def restarting(exchange: Exchange) -> None:
        exchange.cut()
        node.restart()

    down = (EngineUnreachable, EngineBusy)
    with fault_proxy(node.state.url) as line, Searcher(node.engine, ALIAS, excused=down):
        line.plan(BULK, None, None, restarting)
        publish_night(connect(line.url), ALIAS, "20171129T000000", turn=2, settings=PATIENT)
    assert turn_of(node.engine, ALIAS) == 2
    publish_night(node.engine, ALIAS, "20171130T000000", turn=3)
    assert turn_of(node.engine, ALIAS) == 3


def test_it_ends_when_it_is_told_to(node: Node) -> None:
    state = node_state(node.name)
    assert state is not None
    assert stop_node(node.name)
    assert node_state(node.name) is None
    assert not stop_node(node.name)
    with pytest.raises(ProcessLookupError):
        os.killpg(state.pid, 0)


def _until(done: Callable[[], bool], *, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.2)
