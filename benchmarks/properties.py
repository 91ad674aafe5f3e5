"""What a list promises, checked over many pages: by the checks of the test suite, on random worlds.

PYTHONPATH=. python benchmarks/properties.py --pages 100000 --engine-pages 2000      (ES_URL, or the embedded node)
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import Engine
from segments.errors import RankingError
from tests.es_ranking.query import walks
from tests.es_ranking.query.shop import open_shop
from tests.es_ranking.twiddlers import worlds

ALIAS = "es-ranking-bench-properties"
SHARDS = (1, 5)
WALKS_A_SHOP = 10


def planned(wanted: int, first: int) -> dict[str, float]:
    """Pages of the planner alone, a world a seed."""
    return _until(wanted, ((seed, worlds.walk) for seed in count(first)))


def searched(engine: Engine, wanted: int, first: int) -> dict[str, float]:
    """Pages of the engine, every catalogue on one shard and on five."""
    aliases = [f"{ALIAS}-{shards}-shards" for shards in SHARDS]

    def readers() -> Iterator[tuple[int, Callable[[int], int]]]:
        documents: dict[str, dict[str, Any]] = {}
        for seed in count(first):
            if not (seed - first) % WALKS_A_SHOP:
                _close(engine)
                for alias, shards in zip(aliases, SHARDS, strict=True):
                    documents = open_shop(engine, alias, seed=seed, n=160, shards=shards)
            yield seed, partial(walks.walk, engine, aliases, documents)

    try:
        return _until(wanted, readers())
    finally:
        _close(engine)


def _close(engine: Engine) -> None:
    for state in engine.indices(f"{ALIAS}-*"):
        engine.delete_index(state.name)


def _until(wanted: int, walked: Iterable[tuple[int, Callable[[int], int]]]) -> dict[str, float]:
    began, pages, lists = time.perf_counter(), 0, 0
    for seed, walk in walked:
        try:
            pages += walk(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        lists += 1
        if pages >= wanted:
            break
    return {"pages": pages, "lists": lists, "seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--engine-pages", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    engine = connect() if given.engine_pages else None  # before the minutes that need none
    found = {"planner": planned(given.pages, given.seed)}
    if engine is not None:
        found["engine"] = searched(engine, given.engine_pages, given.seed)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    try:
        main()
    except RankingError as error:
        sys.exit(str(error))
