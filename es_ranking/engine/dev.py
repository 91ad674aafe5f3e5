"""The servers a demo or a first try stands on: those given by the environment, else the embedded ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from es_ranking.engine.node import node_state, start_node, stop_node
from es_ranking.engine.places import DEFAULT_NODE
from es_ranking.engine.redis_node import redis_state, start_redis, stop_redis


@contextmanager
def dev_servers(*, name: str = DEFAULT_NODE, heap: str = "512m", keep: bool = False) -> Iterator[None]:
    """Starts what the environment does not give, and stops what it has started, unless it is to be kept.

    A server that ran before is left running.
    """
    given_engine = os.environ.get("ES_URL") or os.environ.get("ELASTICSEARCH_URL")
    engine_ran, redis_ran = node_state(name) is not None, redis_state(name) is not None
    started_engine = started_redis = False
    try:
        if not given_engine:
            start_node(name, heap=heap)
            started_engine = not engine_ran
        if not os.environ.get("REDIS_URL"):
            start_redis(name)
            started_redis = not redis_ran
        yield
    finally:
        if not keep:
            if started_redis:
                stop_redis(name)
            if started_engine:
                stop_node(name)
