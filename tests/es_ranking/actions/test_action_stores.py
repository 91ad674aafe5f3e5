"""Both recent-action stores keep one contract; Redis, moreover, fails fast."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis

from es_ranking.actions.breaker import Breaker
from es_ranking.actions.connect import connect_actions
from es_ranking.actions.contract import ActionStore, ActionsUnavailable
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.actions.redis import RedisActionStore
from segments.errors import UsageError
from tests.contracts.action_store import DAY, NOON, ActionStoreContract, action


class TestMemory(ActionStoreContract):
    @pytest.fixture
    def store(self) -> ActionStore:
        return MemoryActionStore(limit=self.LIMIT)


class TestRedis(ActionStoreContract):
    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[ActionStore]:
        store = RedisActionStore(redis_url, limit=self.LIMIT, prefix=f"test:{uuid4()}:", timeout_seconds=5.0)
        yield store
        store.close()

    def test_the_set_expires(self, store: RedisActionStore, redis_url: str) -> None:
        store.record([action(1)])
        with redis.Redis.from_url(redis_url) as client:
            left = client.pttl(f"{store.prefix}u1")
            client.delete(f"{store.prefix}u1")
        assert 59 * DAY.total_seconds() * 1000 < left <= 60 * DAY.total_seconds() * 1000

    def test_one_round_trip(self, store: RedisActionStore, redis_url: str) -> None:
        store.record([action(n) for n in range(5)])
        with redis.Redis.from_url(redis_url) as client:
            store.counts("u1", NOON, DAY)
            before = client.info("stats")["total_commands_processed"]
            store.counts("u1", NOON, DAY)
            after = client.info("stats")["total_commands_processed"]
        # the second INFO counts itself; other tests may use the server at the same time only in their own process
        assert after - before == 2


def test_a_store_that_hangs_costs_one_short_time_out_and_then_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clock = [0.0]
        breaker = Breaker(failures=2, pause_seconds=5.0, clock=lambda: clock[0])
        port = silent.getsockname()[1]
        store = RedisActionStore(f"redis://127.0.0.1:{port}/0", timeout_seconds=0.1, breaker=breaker)
        began = time.perf_counter()
        for _ in range(20):
            with pytest.raises(ActionsUnavailable):
                store.counts("u1", NOON, DAY)
        assert time.perf_counter() - began < 1.5, "20 searches waited for two time-outs"
        clock[0] = 6.0
        assert breaker.allows(), "after the pause one call may try"
        assert not breaker.allows(), "and only one"
        breaker.succeeded()
        assert breaker.allows()
        store.close()


def test_wrong_address_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError):
        RedisActionStore("http://nowhere")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    store = connect_actions()
    assert isinstance(store, RedisActionStore)
    with pytest.raises(ActionsUnavailable):
        store.record([action(1)])
