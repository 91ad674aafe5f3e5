"""What boosts cost: the field sort alone, with a strand for each rule that raises, and by the script, taking turns.

python benchmarks/boosts.py --documents 200000      (ES_URL, or the embedded node)
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.query.body import take_apart
from es_ranking.scripts.sorts import boosts_sort, field_sort
from es_ranking.scripts.store import put_scripts
from es_ranking.twiddlers.boosts import Boost, Boosts

INDEX, FIELD, ITEM = "es-ranking-bench-boosts", "rank.B.all", "item_id"
BOOSTS = [Boost(where={"brand_id": ("b2",)}, factor=1.5), Boost(where={"brand_id": ("b60",)}, factor=2.0)]


def load(engine: Engine, documents: int) -> None:
    """Uniform ranks, 400 brands of very different sizes."""
    rank = {"properties": {"B": {"properties": {"all": {"type": "double"}}}}}
    keyword = {"type": "keyword"}
    properties = {ITEM: keyword, "brand_id": keyword, "rank": rank}
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
    engine.create_index(INDEX, {"settings": settings, "mappings": {"properties": properties}})
    rng = random.Random(1)
    for start in range(0, documents, 5000):
        items = [f"i{n}" for n in range(start, min(start + 5000, documents))]
        made = [(one, f"b{int(rng.paretovariate(0.7)) % 400}", rng.random()) for one in items]
        actions = [
            BulkAction(INDEX, one, {ITEM: one, "brand_id": brand, "rank": {"B": {"all": score}}})
            for one, brand, score in made
        ]
        assert not engine.bulk(actions).errors
    engine.refresh(INDEX)


def measure(engine: Engine, *, blocks: int, window: int) -> dict[str, object]:
    """Medians over blocks in which the ways take turns; the first five warm up."""
    asked = take_apart({"query": {"match_all": {}}, "track_total_hits": True}, max_window=10_000)
    by_field, by_script = field_sort(FIELD, ITEM), boosts_sort(FIELD, ITEM, BOOSTS)
    plain = asked.plan_body(by_field, ["brand_id"], size=window)
    strands = [asked.strand(one).plan_body(by_field, ["brand_id"], size=window) for one in Boosts(BOOSTS).strands(ITEM)]
    ways = {
        "field": [plain],
        "strands": [plain, *strands],
        "script": [asked.plan_body(by_script, ["brand_id"], size=window)],
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for block in range(blocks + 5):
        for name, bodies in ways.items():
            started = time.perf_counter()
            engine.msearch([(INDEX, body) for body in bodies])
            if block >= 5:
                taken[name].append((time.perf_counter() - started) * 1000)
    ratios = {
        name: statistics.median(a / b for a, b in zip(times, taken["field"], strict=True))
        for name, times in taken.items()
    }
    return {"p50_ms": {name: statistics.median(times) for name, times in taken.items()}, "to_field": ratios}


def main() -> None:
    """Loads, measures, prints JSON, removes the index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--window", type=int, default=100)
    given = parser.parse_args()
    engine = connect()
    put_scripts(engine)
    engine.delete_index(INDEX, missing_ok=True)
    try:
        load(engine, given.documents)
        raised = {boost.where["brand_id"][0]: engine.count(INDEX, boost.clause(ITEM)) for boost in BOOSTS}
        print(json.dumps({"raised": raised, **measure(engine, blocks=given.blocks, window=given.window)}, indent=2))
    finally:
        engine.delete_index(INDEX, missing_ok=True)


if __name__ == "__main__":
    main()
