"""The recent-action store in Redis: a sorted set a user, score = time in ms, member = protobuf bytes.

Bounded (twice `limit` members a user), expiring (`keep_days` after the last write), idempotent (the member holds the
event id and not the time, so a repeated event is the same member), counts as of a time in one round trip. A short
time-out and a circuit breaker: who searches must never wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from es_ranking.actions import action_pb2
from es_ranking.actions.breaker import Breaker
from es_ranking.actions.contract import Action, ActionsUnavailable, Counts, milliseconds
from es_ranking.actions.guarded import GuardedRedis

_Message = cast(Any, action_pb2).Action


class RedisActionStore:
    """`ActionStore` in Redis.

    Args:
        url: `redis://host:port/db`, credentials from the environment.
        limit: actions read for a user.
        keep_days: a user's set is gone this long after the last write.
        timeout_seconds: for connecting and for each answer.
        prefix: before the user in the key.
        breaker: remembers that the store is down.
    """

    def __init__(
        self,
        url: str,
        *,
        limit: int = 500,
        keep_days: float = 60.0,
        timeout_seconds: float = 0.25,
        prefix: str = "es-ranking:actions:",
        breaker: Breaker | None = None,
    ) -> None:
        self.limit = limit
        self.keep = timedelta(days=keep_days)
        self.prefix = prefix
        self._redis = GuardedRedis(
            url, what="recent-action store", unavailable=ActionsUnavailable, timeout_seconds=timeout_seconds,
            breaker=breaker,
        )  # fmt: skip

    def record(self, batch: Sequence[Action]) -> None:
        members: dict[str, dict[bytes, int]] = {}
        for action in batch:
            message = _Message(event_id=action.event_id, item=action.item, kind=action.kind)
            members.setdefault(action.user, {})[message.SerializeToString(deterministic=True)] = action.ms
        if not members:
            return
        pipe = self._redis.client.pipeline(transaction=True)
        for user, scores in members.items():
            # NX: the first time of an event stands
            pipe.zadd(self._key(user), scores, nx=True)
            pipe.zremrangebyrank(self._key(user), 0, -2 * self.limit - 1)
            pipe.pexpire(self._key(user), self.keep)
        self._redis.ask(pipe.execute)

    def counts(self, user: str, as_of: datetime, window: timedelta) -> Counts:
        until, since = milliseconds(as_of), milliseconds(as_of - window)
        members: Any = self._redis.ask(
            lambda: self._redis.client.zrevrangebyscore(self._key(user), f"({until}", since, start=0, num=self.limit)
        )
        found: Counts = {}
        for member in members:
            action = _Message.FromString(member)
            by_kind = found.setdefault(action.item, {})
            by_kind[action.kind] = by_kind.get(action.kind, 0) + 1
        return found

    def forget(self, user: str) -> int:
        pipe = self._redis.client.pipeline(transaction=True)
        pipe.zcard(self._key(user))
        pipe.delete(self._key(user))
        return int(self._redis.ask(pipe.execute)[0])

    def close(self) -> None:
        """Closes the connections."""
        self._redis.client.close()

    def _key(self, user: str) -> str:
        return f"{self.prefix}{user}"
