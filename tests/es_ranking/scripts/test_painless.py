"""Painless = Python on the real node: random worlds, every script, order and sort values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.scripts.sorts import boosts_sort, downrank_sort, field_sort, interval_sort, planned_position
from es_ranking.scripts.store import DOWNRANK, SCRIPTS, put_scripts
from es_ranking.twiddlers.boosts import Boost, boosted_score
from es_ranking.twiddlers.contract import Hit
from es_ranking.twiddlers.downrank import demoted_score
from segments.errors import ContractBroken

INDEX = f"t-painless-{uuid4().hex[:8]}"
WORLDS, ITEMS = 60, 40
EACH = 17
"""Cases a world: 1,020 of each script."""


@pytest.fixture(scope="module")
def worlds(engine: Engine) -> Iterator[dict[int, dict[str, float | None]]]:
    rng = random.Random(17)
    fields = {"properties": {"all": {"type": "double"}}}
    engine.create_index(
        INDEX,
        {
            "settings": {"number_of_shards": 3, "number_of_replicas": 0},
            "mappings": {
                "properties": {
                    "item_id": {"type": "keyword"},
                    "world": {"type": "integer"},
                    "brand": {"type": "keyword"},
                    "size": {"type": "integer"},
                    "fresh": {"type": "boolean"},
                    "rank": {"properties": {"B": fields}},
                }
            },
        },
    )
    made: dict[int, dict[str, float | None]] = {}
    actions = []
    for world in range(WORLDS):
        made[world] = {}
        for n in range(rng.randint(0, ITEMS)):
            item = f"{rng.choice('aAzZ9é')}{world}-{n}"
            # ties, tiny, zero, negative and missing scores
            score = rng.choice([None, 0.0, -0.25, 0.5, 0.5, rng.random(), rng.random() * 1e-9, rng.random() * 1e9])
            made[world][item] = score
            document: dict[str, object] = {"item_id": item, "world": world, **attributes_of(item)}
            if score is not None:
                document["rank"] = {"B": {"all": score}}
            actions.append(BulkAction(INDEX, item, document))
    assert not engine.bulk(actions, refresh=True).errors
    put_scripts(engine)
    yield made
    engine.delete_index(INDEX)


def attributes_of(item: str) -> dict[str, Any]:
    """Missing, single and several values of each kind that rules compare."""
    rng = random.Random(item)
    return {
        "brand": rng.sample(["acme", "bolt", "7", "true"], rng.choice([0, 1, 1, 2])),
        "size": rng.sample([7, 8, -1], rng.choice([0, 1, 2])),
        "fresh": rng.sample([True, False], rng.choice([0, 1])),
    }


def body_of(world: int, sort: list[dict[str, object]]) -> dict[str, object]:
    return {
        "query": {"term": {"world": world}},
        "size": ITEMS,
        "_source": False,
        "docvalue_fields": ["item_id"],
        "sort": sort,
    }


def order_of(answer: dict[str, object]) -> list[tuple[str, object]]:
    return [(hit["fields"]["item_id"][0], hit["sort"][0]) for hit in answer["hits"]["hits"]]  # type: ignore[index]


def by_score(scores: dict[str, float | None]) -> list[str]:
    return sorted(scores, key=lambda item: (scores[item] is None, -(scores[item] or 0.0), item))


def test_downrank_equals_its_twin(engine: Engine, worlds: dict[int, dict[str, float | None]]) -> None:
    rng = random.Random(18)
    cases = []
    for world, scores in worlds.items():
        for _ in range(EACH):
            seen = rng.sample(sorted(scores), rng.randint(0, len(scores)))
            cases.append((world, {item: rng.choice([1.0, 0.5, 0.25, 0.8**3, rng.random() or 0.1]) for item in seen}))
    searches = [(INDEX, body_of(world, downrank_sort("rank.B.all", "item_id", factors))) for world, factors in cases]
    for (world, factors), answer in zip(cases, engine.msearch(searches), strict=True):
        expected = {
            item: None if score is None else demoted_score(score, factors.get(item, 1.0))
            for item, score in worlds[world].items()
        }
        got = order_of(answer)
        assert [item for item, _ in got] == by_score(expected)
        assert [value for _, value in got] == [
            "-Infinity" if expected[item] is None else expected[item] for item in by_score(expected)
        ]
    assert len(cases) == WORLDS * EACH


def test_boosts_equal_their_twin(engine: Engine, worlds: dict[int, dict[str, float | None]]) -> None:
    rng = random.Random(20)

    def rule(scores: dict[str, float | None]) -> Boost:
        factor = rng.choice([0.1, 0.5, 1.0, 1.3, 7.0, rng.random() * 3 + 1e-3])
        if scores and rng.random() < 0.4:
            return Boost(items=tuple(rng.sample(sorted(scores), rng.randint(1, len(scores)))), factor=factor)
        wanted = {"brand": ("acme", "7"), "size": (7, "8"), "fresh": (True,), "gone": ("x",)}
        names = rng.sample(sorted(wanted), rng.choice([1, 1, 2]))
        return Boost(where={name: wanted[name] for name in names}, factor=factor)

    cases = [
        (world, [rule(scores) for _ in range(rng.randint(1, 4))])
        for world, scores in worlds.items()
        for _ in range(EACH)
    ]
    searches = [(INDEX, body_of(world, boosts_sort("rank.B.all", "item_id", rules))) for world, rules in cases]
    for (world, rules), answer in zip(cases, engine.msearch(searches), strict=True):
        expected: dict[str, float | None] = {}
        for item, score in worlds[world].items():
            hit = Hit(item, score, {name: tuple(values) for name, values in attributes_of(item).items()})
            factor = next((one.factor for one in rules if one.matches(hit)), 1.0)
            expected[item] = None if score is None else boosted_score(score, factor)
        # ties keep the base order
        order = sorted(by_score(worlds[world]), key=lambda i: (expected[i] is None, -(expected[i] or 0.0)))
        got = order_of(answer)
        assert [item for item, _ in got] == order
        assert [value for _, value in got] == ["-Infinity" if expected[i] is None else expected[i] for i in order]
    assert len(cases) == WORLDS * EACH


def test_interval_equals_its_twin(engine: Engine, worlds: dict[int, dict[str, float | None]]) -> None:
    rng = random.Random(19)
    cases = []
    for world, scores in worlds.items():
        for _ in range(EACH):
            planned = rng.sample(sorted(scores), rng.randint(0, len(scores)))
            cases.append((world, {item: position for position, item in enumerate(planned)}))
    searches = [(INDEX, body_of(world, interval_sort("rank.B.all", "item_id", planned))) for world, planned in cases]
    for (world, planned), answer in zip(cases, engine.msearch(searches), strict=True):
        expected = sorted(by_score(worlds[world]), key=lambda item: planned_position(item, planned))
        got = order_of(answer)
        assert [item for item, _ in got] == expected
        assert [value for _, value in got] == [planned_position(item, planned) for item in expected]
    assert len(cases) == WORLDS * EACH


def test_field_sort_and_unknown_fields(engine: Engine, worlds: dict[int, dict[str, float | None]]) -> None:
    scores = worlds[1]
    assert [i for i, _ in order_of(engine.search(INDEX, body_of(1, field_sort("rank.B.all", "item_id"))))] == by_score(
        scores
    )
    boosts = boosts_sort("rank.no.such", "item_id", [Boost(items=("x",), factor=2.0)])
    for sort in (field_sort("rank.no.such", "item_id"), downrank_sort("rank.no.such", "item_id", {"x": 0.5}), boosts):
        assert [i for i, _ in order_of(engine.search(INDEX, body_of(1, sort)))] == sorted(scores)


def test_scripts_are_put_once_and_never_replaced_silently(engine: Engine) -> None:
    put_scripts(engine)
    assert put_scripts(engine) == []
    assert all(script.source().strip() and script.id.endswith(f"-v{script.version}") for script in SCRIPTS.values())
    engine.put_script(DOWNRANK.id, "return 1.0;")
    try:
        with pytest.raises(ContractBroken, match="not this version's text"):
            put_scripts(engine)
    finally:
        engine.put_script(DOWNRANK.id, DOWNRANK.source())
