"""Both taste stores keep one contract; Redis, moreover, expires, asks once and fails fast."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis

from es_ranking.actions.breaker import Breaker
from es_ranking.tastes.connect import connect_tastes
from es_ranking.tastes.contract import Taste, TasteStore, TastesUnavailable
from es_ranking.tastes.memory import MemoryTasteStore
from es_ranking.tastes.redis import RedisTasteStore
from segments.errors import UsageError
from tests.contracts.taste_store import NOON, SPACE, TasteStoreContract, click, load, vector

DAY = 86_400_000


class TestMemory(TasteStoreContract):
    @pytest.fixture
    def store(self) -> TasteStore:
        return MemoryTasteStore(limit=self.LIMIT)


class TestRedis(TasteStoreContract):
    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[TasteStore]:
        store = RedisTasteStore(redis_url, limit=self.LIMIT, prefix=f"test:{uuid4()}:", timeout_seconds=5.0)
        yield store
        store.close()

    def test_both_keys_expire(self, store: RedisTasteStore, redis_url: str) -> None:
        load(store, ("u1", Taste(1, vector(1.0))))
        store.clicked(SPACE, [click(1, 1.0)])
        with redis.Redis.from_url(redis_url) as client:
            keys = client.keys(f"{store.prefix}*")
            left = [client.pttl(key) for key in keys]
            client.delete(*keys)
        assert len(keys) == 2
        assert all(6 * DAY < ms <= 7 * DAY for ms in left)

    def test_many_users_at_once(self, store: RedisTasteStore) -> None:
        people = 2_500
        assert load(store, *((f"u{n}", Taste(n, vector(n))) for n in range(people))) == people
        assert store.taste(SPACE, "u2499", NOON, segment="all").count == 2_499
        assert [store.forget(SPACE, f"u{n}") for n in range(people)] == [True] * people


def test_down_costs_little_and_says_so() -> None:
    breaker = Breaker(failures=1, pause_seconds=60.0)
    store = RedisTasteStore("redis://127.0.0.1:1/0", breaker=breaker)
    with pytest.raises(TastesUnavailable, match="taste store does not answer"):
        store.taste(SPACE, "u1", NOON, segment="all")
    with pytest.raises(TastesUnavailable, match="taste store was down a moment ago"):
        store.clicked(SPACE, [click(1)])
    with pytest.raises(UsageError, match="address of the taste store"):
        RedisTasteStore("http://nowhere")


def test_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert isinstance(connect_tastes(), RedisTasteStore)
