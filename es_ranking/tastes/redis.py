"""The taste store in Redis: tastes of the night as strings, the clicks since as a sorted set; one round trip to read.

Bounded (twice `limit` clicks a user), expiring (`keep_days` after the last write: spaces end with their generations),
idempotent (the member of a click holds its event id and not the time). A short time-out and a circuit breaker.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

import numpy as np

from es_ranking.actions.breaker import Breaker
from es_ranking.actions.contract import milliseconds
from es_ranking.actions.guarded import GuardedRedis
from es_ranking.tastes.contract import Click, Taste, TastesUnavailable, added
from es_ranking.tastes.vectors import Floats, pack, unpack

_NIGHT = struct.Struct("<qq")  # the night's clock in ms, clicks; the sum follows as single-precision numbers
_CLICK = struct.Struct("<H")  # bytes of the vector, which follows; then the event id
_AT_ONCE = 1_000


class RedisTasteStore:
    """`TasteStore` in Redis.

    Args:
        url: `redis://host:port/db`, credentials from the environment.
        limit: clicks since the night that count.
        keep_days: what is not written again is gone after so long; longer than generations are kept.
        timeout_seconds: for connecting and for each answer; a load of many users may want more.
        prefix: before space and user in the keys.
        breaker: remembers that the store is down.
    """

    def __init__(
        self,
        url: str,
        *,
        limit: int = 200,
        keep_days: float = 7.0,
        timeout_seconds: float = 0.25,
        prefix: str = "es-ranking:tastes:",
        breaker: Breaker | None = None,
    ) -> None:
        self.limit = limit
        self.keep = timedelta(days=keep_days)
        self.prefix = prefix
        self._redis = GuardedRedis(
            url, what="taste store", unavailable=TastesUnavailable, timeout_seconds=timeout_seconds, breaker=breaker
        )

    def load(
        self, space: str, clock: datetime, tastes: Iterable[tuple[str, Taste]], *, segments: Mapping[str, Taste]
    ) -> int:
        ms = milliseconds(clock)
        self._put((self._segment(space, name), taste) for name, taste in segments.items())
        return self._put(((self._night(space, user), taste) for user, taste in tastes), ms)

    def _put(self, tastes: Iterable[tuple[str, Taste]], ms: int = 0) -> int:
        count, waiting = 0, iter(tastes)
        while batch := list(islice(waiting, _AT_ONCE)):
            pipe = self._redis.client.pipeline(transaction=False)
            for key, taste in batch:
                pipe.set(key, _NIGHT.pack(ms, taste.count) + taste.total.astype("<f4").tobytes(), px=self.keep)
            self._redis.ask(pipe.execute)
            count += len(batch)
        return count

    def clicked(self, space: str, clicks: Sequence[Click]) -> None:
        if not clicks:
            return
        pipe = self._redis.client.pipeline(transaction=True)
        for click in clicks:
            packed = pack(click.vector)
            member = _CLICK.pack(len(packed)) + packed + click.event_id.encode("utf-8", "surrogatepass")
            # NX: the first time of an event stands
            pipe.zadd(self._recent(space, click.user), {member: milliseconds(click.ts)}, nx=True)
        for user in {click.user for click in clicks}:
            pipe.zremrangebyrank(self._recent(space, user), 0, -2 * self.limit - 1)
            pipe.pexpire(self._recent(space, user), self.keep)
        self._redis.ask(pipe.execute)

    def taste(self, space: str, user: str, as_of: datetime, *, segment: str) -> Taste | None:
        pipe = self._redis.client.pipeline(transaction=False)
        pipe.mget(self._night(space, user), self._segment(space, segment))
        pipe.zrevrangebyscore(
            self._recent(space, user), f"({milliseconds(as_of)}", "-inf", start=0, num=self.limit, withscores=True
        )
        values, members = self._redis.ask(pipe.execute)
        (clock, night), (_, group) = map(_read, values)
        recent = [_vector(member) for member, ms in reversed(members) if ms >= clock]
        found = added(night, recent)
        return found and found.apart_from(group)

    def forget(self, space: str, user: str) -> bool:
        return bool(self._redis.ask(lambda: self._redis.client.delete(*self._keys(space, user))))

    def close(self) -> None:
        """Closes the connections."""
        self._redis.client.close()

    def _keys(self, space: str, user: str) -> tuple[str, str]:
        return self._night(space, user), self._recent(space, user)

    def _night(self, space: str, user: str) -> str:
        return f"{self.prefix}{space}:night:{user}"

    def _recent(self, space: str, user: str) -> str:
        return f"{self.prefix}{space}:recent:{user}"

    def _segment(self, space: str, name: str) -> str:
        return f"{self.prefix}{space}:segment:{name}"


def _read(value: bytes | None) -> tuple[float, Taste | None]:
    """The night's clock and its taste; the beginning of time where there is none."""
    if value is None:
        return -math.inf, None
    clock, count = _NIGHT.unpack_from(value)
    return clock, Taste(count, np.frombuffer(value, dtype="<f4", offset=_NIGHT.size).astype(np.float32))


def _vector(member: bytes) -> Floats:
    (size,) = _CLICK.unpack_from(member)
    return unpack(member[_CLICK.size : _CLICK.size + size])
