"""A small shop in a real engine: generations of a random catalogue, made without Spark."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.publish.generation import Generation
from es_ranking.publish.meta import GenerationMeta
from es_ranking.schema import VECTOR, main_mapping, rank_fields, side_mapping
from es_ranking.tastes.vectors import pack, to_text
from es_ranking.twiddlers.settings import Surface
from segments.catalogue import Catalogue, Segment, everyone

RUN = "20171127T000000"
NOON = datetime(2017, 11, 27, 12, tzinfo=UTC)
CATALOGUE = Catalogue(
    run=RUN,
    families=("demographic", "grade"),
    segments=(
        everyone(100),
        Segment(id="d_young", family="demographic"),
        Segment(id="d_old", family="demographic"),
        Segment(id="g_gold", family="grade"),
    ),
    variants={"A": ("all",), "B": ("demographic", "all"), "B1": ("grade", "demographic", "all")},
)
USERS = {"ann": {"demographic": "d_young", "grade": "g_gold"}, "bob": {"demographic": "d_old"}}
SURFACE = Surface.of(
    {
        "name": "shelf",
        "twiddlers": [
            {"kind": "downrank", "window_days": 7, "actions": {
                "purchase": {"factor": 0.5}, "view": {"threshold": 2, "factor": 0.9}}},
            {"kind": "interval", "look_ahead": 20, "gaps": [
                {"attribute": "brand_id", "gap": 3, "priority": 2}, {"attribute": "list", "gap": 2, "priority": 1}]},
        ],
    }
)  # fmt: skip


def random_items(seed: int, n: int) -> dict[str, dict[str, Any]]:
    """Item id → document without ranks; a few have no brand."""
    rng = random.Random(seed)
    return {
        f"p{i:03}": {
            "item_id": f"p{i:03}",
            "title": rng.choice(["tomato soup", "bean soup", "rice"]),
            "list": rng.choice(["SOUP", "RICE", "TEA", "PASTA"]),
            "category": ["FOOD"] if rng.random() < 0.7 else ["FOOD", "FOOD>SALE"],
            "price": round(rng.uniform(1, 9), 2),
            **(
                {} if rng.random() < 0.1 else {"brand_id": rng.choice(["acme", "bolt", "core", "dune", "echo", "fizz"])}
            ),
        }
        for i in range(n)
    }


def open_shop(
    engine: Engine,
    alias: str,
    *,
    seed: int = 1,
    n: int = 120,
    shards: int = 1,
    number: int = 1,
    catalogue: Catalogue = CATALOGUE,
    why: Mapping[str, Any] | None = None,
    space: str = "",
) -> dict[str, dict[str, Any]]:
    """Publishes a generation by hand and points the aliases at it; returns item id → document.

    With a `space` most items have a vector of three numbers.
    """
    generation = Generation(RUN, number, alias)
    fields = rank_fields(catalogue)
    rng = random.Random(seed * 1000 + number)
    documents = random_items(seed, n)
    for document in documents.values():
        document["rank"] = {
            variant: {segment: rng.choice([rng.random(), 0.25]) for segment in segments if rng.random() < 0.95}
            for variant, segments in fields.items()
        }
        if space and rng.random() < 0.9:
            document[VECTOR] = to_text(pack(np.array([rng.gauss(0, 1) for _ in range(3)])))
    meta = GenerationMeta(
        generation.id, alias, RUN, number, NOON.isoformat(), "B", fields, catalogue.model_dump(mode="json"), n,
        space=space,
    ).to_meta()  # fmt: skip
    settings = {"number_of_shards": shards, "number_of_replicas": 0}
    mapping = main_mapping(fields, default_variant="B", meta=meta, vectors=bool(space))
    engine.create_index(generation.index, {"settings": settings, "mappings": mapping})
    for index, payload in ((generation.why_index, "ranks"), (generation.users_index, "segments")):
        engine.create_index(index, {"settings": settings | {"number_of_shards": 1}, "mappings": side_mapping(payload)})
    actions = [BulkAction(generation.index, item, document) for item, document in documents.items()]
    actions += [BulkAction(generation.users_index, user, {"segments": found}) for user, found in USERS.items()]
    actions += [BulkAction(generation.why_index, item, {"ranks": ranks}) for item, ranks in (why or {}).items()]
    assert not engine.bulk(actions, refresh=True).errors
    changes: list[dict[str, Any]] = [
        {"remove": {"index": held, "alias": name}} for name in generation.indices for held in engine.get_alias(name)
    ]
    changes += [{"add": {"index": index, "alias": name}} for name, index in generation.indices.items()]
    engine.update_aliases(changes)
    return documents
