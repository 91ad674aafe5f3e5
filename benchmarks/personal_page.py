"""A page in the segment's order and the same page in one's own: milliseconds on a real engine and a real Redis.

    python -m benchmarks.personal_page --docs 20000 --rounds 100

One list of a fortieth of the documents, 20 hits a page; the cases take turns within each round. Stands on ES_URL and
REDIS_URL, or the embedded servers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import BulkAction
from es_ranking.publish.generation import Generation
from es_ranking.publish.meta import GenerationMeta
from es_ranking.query import recommended
from es_ranking.schema import main_mapping, rank_fields, side_mapping
from es_ranking.tastes.connect import connect_tastes
from es_ranking.tastes.contract import Taste
from es_ranking.tastes.vectors import pack, to_text
from es_ranking.twiddlers.settings import PLAIN, Surface
from segments.catalogue import Catalogue, everyone

WIDTH = 32
SPACE = "bench-personal"
NOW = datetime(2017, 11, 27, 12, tzinfo=UTC)
CATALOGUE = Catalogue(run="20171127T000000", families=(), segments=(everyone(100),), variants={"B": ("all",)})
MADE = Generation(CATALOGUE.run, 1, "bench-personal")


def documents(count: int) -> Iterator[BulkAction]:
    random = np.random.default_rng(1)
    for n in range(count):
        words = " ".join(f"word{w}" for w in random.integers(0, 999, 40))
        document = {
            "item_id": f"i{n:07}", "list": f"l{n % 40}", "text": words, "rank": {"B": {"all": float(random.random())}},
            "vector": to_text(pack(random.standard_normal(WIDTH))),
        }  # fmt: skip
        yield BulkAction(MADE.index, f"i{n:07}", document)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--docs", type=int, default=20_000)
    flags.add_argument("--rounds", type=int, default=100)
    given = flags.parse_args()
    engine, store = connect(opaque_id="es-ranking-bench"), connect_tastes(timeout_seconds=5.0)
    assert store is not None, "no Redis: es-ranking node start"
    ranks = rank_fields(CATALOGUE)
    meta = GenerationMeta(MADE.id, MADE.alias, MADE.run, 1, NOW.isoformat(), "B", ranks,
                          CATALOGUE.model_dump(mode="json"), given.docs, space=SPACE).to_meta()  # fmt: skip
    mapping = main_mapping(ranks, default_variant="B", meta=meta, vectors=True)
    taste = Taste(50, np.random.default_rng(2).standard_normal(WIDTH).astype(np.float32) * 40)
    store.load(SPACE, NOW, [("known", taste)], segments={"all": taste})
    try:
        for name, index in MADE.indices.items():
            body: dict[str, Any] = {"settings": {"number_of_replicas": 0}, "aliases": {name: {}}}
            whole = mapping if index == MADE.index else side_mapping("segments")
            engine.delete_index(index, missing_ok=True)
            engine.create_index(index, {**body, "mappings": whole})
        waiting = list(documents(given.docs))
        for start in range(0, len(waiting), 1_000):
            engine.bulk(waiting[start : start + 1_000], refresh=start + 1_000 >= len(waiting))
        spent: dict[str, list[float]] = {}
        asked: dict[str, Any] = {"at": NOW + timedelta(hours=1), "tastes": store}
        query = {"query": {"term": {"list": "l7"}}, "size": 20, "_source": ["item_id"], "track_total_hits": False}
        for number in range(given.rounds + 10):
            for name, user, surface in (
                ("segment", "known", PLAIN),
                *((f"personal, {clicks}, depth {depth}", user, _surface(depth))
                  for depth in (100, 200, 400)
                  for clicks, user in (("no clicks", "stranger"), ("50 clicks", "known"))),
            ):  # fmt: skip
                begun = time.perf_counter()
                page = recommended(engine, MADE.alias, query, user=user, surface=surface, **asked)
                assert (len(page.hits), page.flags) == (20, ())
                if number >= 10:
                    spent.setdefault(name, []).append((time.perf_counter() - begun) * 1e3)
        for name, values in spent.items():
            # the fastest tenth is what it costs where nothing else runs
            low, middle = (round(float(np.quantile(values, share)), 2) for share in (0.1, 0.5))
            print(json.dumps({"page": name, "ms p10": low, "ms p50": middle}))
    finally:
        for index in MADE.indices.values():
            engine.delete_index(index, missing_ok=True)
        store.forget(SPACE, "known")
        engine.close()


def _surface(depth: int) -> Surface:
    return Surface.of({"name": "own", "twiddlers": [{"kind": "personal", "depth": depth}]})


if __name__ == "__main__":
    main()
