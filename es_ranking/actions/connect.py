"""The one way to a recent-action store: `connect_actions()`."""

from __future__ import annotations

from es_ranking.actions.contract import ActionStore
from es_ranking.engine.redis_node import redis_url
from segments.errors import MissingExtra


def connect_actions(url: str | None = None, *, timeout_seconds: float = 0.25) -> ActionStore | None:
    """The Redis store of `url`, else of `REDIS_URL`, else of the running embedded one; None if there is none.

    It does not connect yet: a store that is down shows at the first call, and a search goes on without it. A job that
    nobody waits for may wait longer for each answer than a search.

    Raises:
        MissingExtra: an address is there, but redis or protobuf is not installed.
    """
    address = redis_url(url)
    if address is None:
        return None
    try:
        from es_ranking.actions.redis import RedisActionStore
    except ModuleNotFoundError as error:
        raise MissingExtra.of("redis", error.name or "redis") from error
    return RedisActionStore(address, timeout_seconds=timeout_seconds)
