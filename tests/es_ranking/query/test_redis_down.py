"""A real Redis that is slow, back again, and gone: searches go on, wait for it once or twice, and say so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from es_ranking.actions.breaker import Breaker
from es_ranking.actions.contract import Action
from es_ranking.actions.redis import RedisActionStore
from es_ranking.engine.contract import Engine
from es_ranking.engine.node import remove_node
from es_ranking.engine.redis_node import start_redis, stop_redis
from es_ranking.engine.state import NodeState
from es_ranking.query import recommended
from es_ranking.query.page import Page
from tests.es_ranking.query.shop import NOON, SURFACE, open_shop


@pytest.fixture
def own_redis() -> Iterator[NodeState]:
    name = f"test-{os.getpid()}-slow-redis"
    state = start_redis(name)
    yield state
    if state.running():
        os.kill(state.pid, signal.SIGCONT)
    stop_redis(name)
    remove_node(name)


def test_slow_and_gone(engine: Engine, index_name: str, own_redis: NodeState) -> None:
    clock = [0.0]
    breaker = Breaker(failures=2, pause_seconds=5.0, clock=lambda: clock[0])
    store = RedisActionStore(own_redis.url, timeout_seconds=1.0, breaker=breaker)
    open_shop(engine, index_name, n=40)

    def page() -> Page:
        return recommended(engine, index_name, {"size": 40}, user="ann", at=NOON, surface=SURFACE, actions=store)

    without = page().items
    store.record([Action("ann", without[0], "purchase", NOON - timedelta(hours=1), "e1")])
    known = page()
    assert known.items != without

    def done_without() -> None:
        began = time.perf_counter()
        pages = [page() for _ in range(20)]
        assert time.perf_counter() - began < 10.0, "twenty searches wait for two time-outs, not for twenty"
        assert {one.flags for one in pages} == {("actions_unavailable",)}
        assert all(one.items == without for one in pages)

    os.kill(own_redis.pid, signal.SIGSTOP)
    done_without()
    os.kill(own_redis.pid, signal.SIGCONT)
    clock[0] = 6.0
    assert (page().items, page().flags) == (known.items, ()), "it is back, and so is what it knew"
    own_redis.stop()
    done_without()
    store.close()
