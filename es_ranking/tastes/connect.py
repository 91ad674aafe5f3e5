"""The one way to a taste store: `connect_tastes()`."""

from __future__ import annotations

from es_ranking.engine.redis_node import redis_url
from es_ranking.tastes.contract import TasteStore
from segments.errors import MissingExtra


def connect_tastes(url: str | None = None, *, timeout_seconds: float = 0.25) -> TasteStore | None:
    """The Redis store of `url`, else of `REDIS_URL`, else of the running embedded one; None if there is none.

    It does not connect yet: a store that is down shows at the first call, and a search goes on without it.

    Raises:
        MissingExtra: an address is there, but redis is not installed.
    """
    address = redis_url(url)
    if address is None:
        return None
    try:
        from es_ranking.tastes.redis import RedisTasteStore
    except ModuleNotFoundError as error:
        raise MissingExtra.of("redis", error.name or "redis") from error
    return RedisTasteStore(address, timeout_seconds=timeout_seconds)
