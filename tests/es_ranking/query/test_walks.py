"""Readers of random lists on one shard and on five; `benchmarks/properties.py` sends thousands."""

from __future__ import annotations

import pytest

from es_ranking.engine.contract import Engine
from tests.es_ranking.query.shop import open_shop
from tests.es_ranking.query.walks import walk


@pytest.mark.parametrize("seed", [3])
def test_whatever_is_promised_holds_on_any_number_of_shards(engine: Engine, index_name: str, seed: int) -> None:
    aliases = [f"{index_name}-{shards}" for shards in (1, 5)]
    for alias, shards in zip(aliases, (1, 5), strict=True):
        documents = open_shop(engine, alias, seed=seed, shards=shards)
    assert sum(walk(engine, aliases, documents, number) for number in range(4)) > 30
