"""`bench query` on the real engine: every case and way is there, they ask for the same, and nothing is left behind."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.bench import shop
from es_ranking.bench.others import other_ways
from es_ranking.bench.querying import CASES, NOON, SURFACE, WAYS, bench_query, open_shop, views
from es_ranking.bench.shop import AUTHOR, VARIANT, own_alias
from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineUnreachable
from es_ranking.query import recommended
from es_ranking.query.page import Page
from es_ranking.schema import rank_field
from segments.catalogue import ALL
from tests.contracts.faulty_engine import FaultyEngine


@pytest.fixture(autouse=True)
def _own_names(index_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another measurement on the same engine is none of ours."""
    monkeypatch.setattr(shop, "PREFIX", index_name)


def test_every_case_and_way_has_its_figures_and_nothing_is_left(
    engine: Engine,
    engine_url: str,
    index_name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ES_URL", engine_url)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    code = exit_code_of(["bench", "query", "--docs=2500", "--segments=2", "--blocks=10", "--output=json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    figures: dict[str, Any] = json.loads(captured.out)
    assert figures["cases"].keys() == {"category", "match_all"}
    for ways in figures["cases"].values():
        assert ways.keys() == {"plain", *WAYS, *OTHERS}
        assert all(0.0 < times["p50_ms"] <= times["p95_ms"] for times in ways.values())
    assert figures["ratios"].keys() == {f"{way}_{case}" for way in (*WAYS, *OTHERS) for case in CASES}
    assert all(math.isfinite(ratio) and ratio > 0.0 for ratio in figures["ratios"].values())
    assert figures["page_25_to_page_1"].keys() == CASES.keys()
    assert engine.indices(f"{index_name}*") == []


OTHERS = ("function_score", "script_sort", "collapse", "scripted_metric")


class Watched(FaultyEngine):
    """Remembers the searches; the n-th one fails."""

    def __init__(self, engine: Engine, fails_at: int | None = None) -> None:
        super().__init__(engine)
        self.fails_at = fails_at
        self.bodies: list[Mapping[str, Any]] = []

    def search(self, index: str, body: Mapping[str, Any], *, timeout_seconds: float | None = None) -> dict[str, Any]:
        self.bodies.append(body)
        if len(self.bodies) == self.fails_at:
            raise EngineUnreachable("planned")
        return self._engine.search(index, body, timeout_seconds=timeout_seconds)


def test_what_is_compared_is_the_same_page(engine: Engine) -> None:
    watched = Watched(engine)
    bench_query(watched, docs=1_500, segments=1, blocks=1)
    asked = [body for body in watched.bodies if body.get("track_total_hits") == 10_000]
    chosen = [body["query"].get("function_score", body)["query"] for body in asked]
    assert {json.dumps(query) for query in chosen} == {json.dumps(query) for query in CASES.values()}
    shown = {json.dumps(body["_source"]) for body in watched.bodies if body.get("_source")}
    assert shown == {'["title", "brand_id", "list", "price"]'}
    assert sum(body.get("sort") == [{"price": "asc"}] for body in asked) == 2 * 6


def test_the_other_ways_do_what_they_can(engine: Engine) -> None:
    """The one inside the engine gives the planner's own page; the others are right as far as they go."""
    field, gaps = rank_field(VARIANT, ALL), {"brand_id": 4, AUTHOR: 3}
    body = {"query": CASES["category"], "size": 40, "_source": ["title"], "track_total_hits": 10_000}
    with own_alias(engine) as alias:
        open_shop(engine, alias, 3_000, 1)
        actions = views(engine, alias)
        seen = actions.counts("u1", NOON, timedelta(days=28))
        factors = {item: 0.5 ** by_kind["view"] for item, by_kind in seen.items()}
        ways = other_ways(engine, alias, body, field=field, factors=factors, gaps=gaps)
        found = {name: ask() for name, ask in ways.items()}

        def ours(*twiddlers: str, way: str = "auto") -> Page:
            return recommended(engine, alias, body, user="u1", segment=ALL, surface=SURFACE, actions=actions, at=NOON,
                               twiddlers=twiddlers, way=way)  # fmt: skip

        whole = ours("downrank", "interval")
        assert whole.certificate == "exact"
        assert found["scripted_metric"] == whole.items
        assert found["script_sort"] == ours("downrank").items
        assert set(found["function_score"][:20]) <= set(found["script_sort"]), "in single precision"
        brands = [engine.get(alias, item)["brand_id"] for item in found["collapse"]]  # type: ignore[index]
        assert len(set(brands)) == len(brands) == 40


def test_nothing_is_left_after_a_fault(engine: Engine, index_name: str) -> None:
    with pytest.raises(EngineUnreachable, match="planned"):
        bench_query(Watched(engine, fails_at=12), docs=300, segments=1, blocks=10)
    assert engine.indices(f"{index_name}*") == []
