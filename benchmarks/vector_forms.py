"""What it costs to read the vectors of a list's top with the plan: one request, several forms of the same numbers.

    python -m benchmarks.vector_forms --docs 20000 --depth 200 --rounds 40

The forms take turns within each round, on one index, so that whatever else the machine does falls on all of them.
Stands on a running engine (ES_URL, or the embedded node).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import BulkAction
from es_ranking.tastes.vectors import to_text

INDEX = "bench-vector-forms"
WIDTH = 32
MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "item_id": {"type": "keyword"},
        "list": {"type": "keyword"},
        "text": {"type": "text"},
        "rank": {"type": "double"},
        "half": {"type": "binary", "doc_values": True},
        "single": {"type": "binary", "doc_values": True},
        "word": {"type": "keyword", "index": False},
        "numbers": {"type": "dense_vector", "dims": WIDTH, "index": False},
    },
}
NOTHING: dict[str, Any] = {"stored_fields": "_none_"}
FORMS: dict[str, dict[str, Any]] = {
    "no vector": NOTHING,
    "binary doc values, 16 bit": NOTHING | {"docvalue_fields": ["half"]},
    "binary doc values, 32 bit": NOTHING | {"docvalue_fields": ["single"]},
    "keyword doc values, 16 bit": NOTHING | {"docvalue_fields": ["word"]},
    "_source, 16 bit": {"_source": ["half"]},
    "dense_vector, fields": {"_source": False, "fields": ["numbers"]},
}


def documents(count: int) -> Iterator[BulkAction]:
    random = np.random.default_rng(1)
    for n in range(count):
        vector = random.standard_normal(WIDTH)
        half, single = (to_text(vector.astype(kind).tobytes()) for kind in ("<f2", "<f4"))
        words = " ".join(f"word{w}" for w in random.integers(0, 999, 40))
        document = {
            "item_id": f"i{n:07}", "list": f"l{n % 40}", "text": words,
            "rank": float(random.random()), "half": half, "single": single, "word": half, "numbers": vector.tolist(),
        }  # fmt: skip
        yield BulkAction(INDEX, f"i{n:07}", document)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--docs", type=int, default=20_000)
    flags.add_argument("--depth", type=int, default=200)
    flags.add_argument("--rounds", type=int, default=40)
    given = flags.parse_args()
    engine = connect(opaque_id="es-ranking-bench")
    engine.delete_index(INDEX, missing_ok=True)
    engine.create_index(INDEX, {"settings": {"number_of_shards": 1, "number_of_replicas": 0}, "mappings": MAPPING})
    try:
        waiting: list[BulkAction] = []
        for action in documents(given.docs):
            waiting.append(action)
            if len(waiting) == 1_000:
                engine.bulk(waiting)
                waiting = []
        engine.bulk(waiting, refresh=True)
        base = {
            "query": {"term": {"list": "l7"}}, "size": given.depth, "track_total_hits": False,
            "sort": [{"rank": "desc"}, {"item_id": "asc"}],
        }  # fmt: skip
        spent: dict[str, list[float]] = {name: [] for name in FORMS}
        size: dict[str, int] = {}
        for number in range(given.rounds + 5):
            for name, form in FORMS.items():
                begun = time.perf_counter()
                answer = engine.search(INDEX, {**base, **form})
                if number >= 5:
                    spent[name].append((time.perf_counter() - begun) * 1e3)
                size[name] = len(json.dumps(answer))
        for name, values in spent.items():
            # the fastest tenth is what it costs where nothing else runs
            low, middle = (round(float(np.quantile(values, share)), 2) for share in (0.1, 0.5))
            print(json.dumps({"form": name, "ms p10": low, "ms p50": middle, "bytes": size[name]}))
    finally:
        engine.delete_index(INDEX, missing_ok=True)
        engine.close()


if __name__ == "__main__":
    main()
