"""Generations that change under a reader, exposures, reasons: on a real engine."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import Generation
from es_ranking.query import recommended
from es_ranking.query.explain import explain
from es_ranking.query.exposures import EngineExposureLog, Exposure, JsonLinesExposureLog
from es_ranking.twiddlers.settings import load_surface
from segments.catalogue import Segment
from segments.errors import RankingError, UsageError
from tests.es_ranking.query.shop import CATALOGUE, NOON, RUN, SURFACE, open_shop

KEY = b"a key of sixteen bytes or more"


def test_a_cursor_keeps_to_its_generation_until_that_is_gone(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=40)
    asked: dict[str, Any] = {"segment": "all", "key": KEY, "at": NOON}
    whole = recommended(engine, index_name, {"size": 40}, **asked).items
    first = recommended(engine, index_name, {"size": 10}, **asked)
    open_shop(engine, index_name, n=40, number=2)
    second = recommended(engine, index_name, {"size": 10}, cursor=first.cursor, **asked)
    assert first.items + second.items == whole[:20], "the old generation while it exists"
    assert second.generation == first.generation
    new = recommended(engine, index_name, {"size": 40}, **asked)
    assert new.generation == Generation(RUN, 2, index_name).id, "a new search sees the switch at once"
    assert new.items != whole
    engine.delete_index(first.index)
    third = recommended(engine, index_name, {"size": 10}, cursor=second.cursor, **asked)
    assert third.flags == ("restarted",)
    assert third.items == new.items[:10]
    assert third.hits[0].place == 1


def test_a_segment_of_the_new_generation_is_known_at_once(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=10)
    with pytest.raises(UsageError, match="unknown segment"):
        recommended(engine, index_name, {}, segment="d_new")
    wider = CATALOGUE.model_copy(update={"segments": (*CATALOGUE.segments, Segment(id="d_new", family="demographic"))})
    open_shop(engine, index_name, n=10, number=2, catalogue=wider)
    assert recommended(engine, index_name, {}, segment="d_new").segment == "d_new"


def test_a_user_index_that_is_gone_costs_the_segment_not_the_search(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=10)
    engine.delete_index(Generation(RUN, 1, index_name).users_index)
    page = recommended(engine, index_name, {}, user="ann")
    assert (page.segment, page.flags) == ("all", ("users_unavailable",))


def test_exposures_tell_what_was_shown_and_how_likely_it_was(engine: Engine, index_name: str, tmp_path: Path) -> None:
    why = {"p001": {"B": {"d_young": {"propensity": 0.125, "score": 0.3}}}}
    open_shop(engine, index_name, n=40, why=why)
    log = JsonLinesExposureLog(tmp_path / "exposures.jsonl")
    page = recommended(
        engine, index_name, {"size": 40}, user="ann", at=NOON, now=NOON, surface=SURFACE, exposures=log,
        request_id="r1",
    )  # fmt: skip
    rows = [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]
    assert [row["item_id"] for row in rows] == page.items
    assert [row["position"] for row in rows] == list(range(1, 41))
    assert {row["item_id"]: row["propensity"] for row in rows if row["propensity"]} == {"p001": 0.125}
    row = rows[0]
    assert (row["request_id"], row["user_id"], row["surface"], row["variant"], row["segment"], row["forced"]) == (
        "r1", "ann", "shelf", "B", "d_young", False,
    )  # fmt: skip
    assert row["generation"] == page.generation
    assert all(row["places"]["interval"] == row["position"] for row in rows)
    stored = EngineExposureLog(engine, f"{index_name}-exposures")
    for _ in range(2):
        recommended(
            engine, index_name, {"size": 7}, segment="all", variant="A", exposures=stored, request_id="r2", now=NOON
        )
    engine.refresh(stored.index)
    assert engine.count(stored.index, {"term": {"request_id": "r2"}}) == 7, "sent twice, written once"
    assert engine.count(stored.index, {"term": {"forced": True}}) == 7


def test_a_lost_exposure_never_fails_the_search(engine: Engine, index_name: str) -> None:
    class Full:
        def write(self, batch: list[Exposure]) -> None:
            raise RankingError("disk full")

    open_shop(engine, index_name, n=10)
    page = recommended(engine, index_name, {}, exposures=Full())
    assert page.flags == ("exposures_lost",)
    assert len(page.items) == 10


def test_why_an_item_stands_where_it_stands(engine: Engine, index_name: str) -> None:
    reasons = {"list": "SOUP", "rank": 3, "score": 0.3, "draw": 0.4, "propensity": 0.125, "lure_probability": 0.01,
               "final": 0.4, "moves": ["quota"]}  # fmt: skip
    documents = open_shop(engine, index_name, n=10, why={"p001": {"B": {"d_young": reasons}}})
    told = explain(engine, index_name, "p001", segment="d_young")
    assert told | {"value": None} == {
        "item": "p001", "title": documents["p001"]["title"], "generation": Generation(RUN, 1, index_name).id,
        "variant": "B", "segment": "d_young", "field": "rank.B.d_young", "value": None, "kept": True, **reasons,
    }  # fmt: skip
    assert told["value"] == documents["p001"]["rank"]["B"].get("d_young")
    assert explain(engine, index_name, "p002", user="ann")["kept"] is False
    with pytest.raises(UsageError, match="no item"):
        explain(engine, index_name, "p999", segment="all")


def test_too_deep_a_page_and_a_cursor_of_another_query(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=40)
    with pytest.raises(UsageError, match="page too deep"):
        recommended(engine, index_name, {"from": 9_995})
    narrow = SURFACE.model_copy(update={"max_window": 30})
    page = recommended(engine, index_name, {"size": 20}, surface=narrow, key=KEY)
    assert len(page.items) == 20, "the window may be cut as long as the plan is certain"
    first = recommended(engine, index_name, {"size": 5}, user="ann", key=KEY)
    for other in ({"user": "bob"}, {"user": "ann", "variant": "A"}, {"user": "ann", "surface": SURFACE}):
        with pytest.raises(UsageError, match="another query"):
            recommended(engine, index_name, {"size": 5}, cursor=first.cursor, key=KEY, **other)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not both"):
        recommended(engine, index_name, {"from": 5}, user="ann", cursor=first.cursor, key=KEY)
    later = NOON + timedelta(days=36500)
    with pytest.raises(UsageError, match="expired"):
        recommended(engine, index_name, {"size": 5}, user="ann", cursor=first.cursor, key=KEY, now=later)


def test_shipped_surfaces_are_valid() -> None:
    assert [one.kind for one in load_surface("search").twiddlers] == ["personal", "downrank", "interval"]
    assert load_surface("banners").twiddlers == ()
    with pytest.raises(UsageError, match=r"unknown surface 'serch'.*search"):
        load_surface("serch")
