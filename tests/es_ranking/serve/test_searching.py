"""The service on a real engine: passed on as it is, planned as the library plans, and what is recorded is seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.connect import config_of
from es_ranking.engine.contract import Engine
from es_ranking.query import recommended
from es_ranking.serve.event_log import EventLog
from es_ranking.serve.passing import HttpPassing
from es_ranking.serve.service import Service
from tests.es_ranking.query.shop import SURFACE, open_shop
from tests.es_ranking.serve.door import KEY, call, service_of

ALIAS = "t-served"
QUERY = {"query": {"terms": {"list": ["SOUP", "TEA", "RICE"]}}, "aggs": {"lists": {"terms": {"field": "list"}}}}
RECOMMENDED = {**QUERY, "sort": [{"recommended": {"order": "desc", "missing": "_last"}}, {"item_id": "asc"}]}


@pytest.fixture(scope="module")
def shop(engine: Engine) -> Iterator[Engine]:
    _close(engine)
    open_shop(engine, ALIAS)
    yield engine
    _close(engine)


def _close(engine: Engine) -> None:
    for state in engine.indices(f"{ALIAS}-*"):
        engine.delete_index(state.name)


@pytest.fixture
def service(shop: Engine, tmp_path: Path) -> Iterator[Service]:
    passing = HttpPassing(config_of(shop.url))
    events = EventLog(tmp_path / "events")
    served = service_of(shop, passing=passing, actions=MemoryActionStore(), events=events, index=ALIAS)
    yield served
    events.close()
    passing.close()
    served.pool.close()


def search(service: Service, body: Any, **headers: str) -> dict[str, Any]:
    named = {f"x-es-ranking-{name.replace('_', '-')}": value for name, value in headers.items()}
    response = call(service, "POST", f"/{ALIAS}/_search", json=body, headers=named)
    assert response.status_code == 200, response.text
    return dict(response.json())


def items(answer: dict[str, Any]) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


@pytest.mark.parametrize("body", [QUERY, {**QUERY, "sort": [{"price": "asc"}, {"recommended": "desc"}]}])
def test_what_is_not_recommended_is_the_engines_own_answer(shop: Engine, service: Service, body: Any) -> None:
    through = search(service, body, user="ann")
    own = shop.search(ALIAS, body)
    assert {**through, "took": 0} == {**own, "took": 0}
    assert list(through) == list(own)


def test_a_mistake_in_what_is_passed_on_is_the_engines_own_refusal(service: Service) -> None:
    response = call(service, "POST", f"/{ALIAS}/_search", json={"query": {"nonsense": {}}})
    assert response.status_code == 400
    assert "unknown query [nonsense]" in response.json()["error"]["reason"]


def test_recommended_is_the_librarys_page_and_the_cursor_its_next_one(shop: Engine, service: Service) -> None:
    now = datetime.now(UTC).isoformat()
    first = search(service, {**RECOMMENDED, "size": 7}, user="ann", at=now, explain="true")
    page = recommended(
        shop, ALIAS, {**QUERY, "size": 7}, user="ann", at=datetime.fromisoformat(now), surface=SURFACE,
        actions=service.actions, key=KEY, explain=True,
    )  # fmt: skip
    block = first.pop("es_ranking")
    assert {**first, "took": 0} == {**page.response, "took": 0}
    assert {name: block[name] for name in ("generation", "segment", "variant", "certificate", "flags")} == {
        "generation": page.generation, "segment": "g_gold", "variant": "B1" if page.variant == "B1" else "B",
        "certificate": page.certificate, "flags": [],
    } | {"segment": page.segment, "variant": page.variant}  # fmt: skip
    assert [hit["item"] for hit in block["hits"]] == items(first)
    assert any("moves" in hit for hit in block["hits"]) == any(hit.moves for hit in page.hits)
    second = search(service, {**RECOMMENDED, "size": 9}, user="ann", at=now, cursor=block["cursor"])
    whole = recommended(
        shop, ALIAS, {**QUERY, "size": 16}, user="ann", at=datetime.fromisoformat(now), surface=SURFACE
    )  # fmt: skip
    assert items(first) + items(second) == whole.items


def test_what_is_bought_moves_down_in_the_next_search_and_stands_in_the_log_once(
    service: Service, tmp_path: Path
) -> None:
    before = items(search(service, {**RECOMMENDED, "size": 60}, user="ann"))
    ts = (datetime.now(UTC) - timedelta(seconds=2)).isoformat()
    bought = {"event_id": "e1", "ts": ts, "user_id": "ann", "item_id": before[0], "kind": "purchase"}
    seen = {
        "action_name": "view", "timestamp": ts, "client_id": "ann", "query_id": "r1",
        "event_attributes": {"object": {"object_id": before[3]}, "position": {"ordinal": 4}},
    }  # fmt: skip
    for repeated in (0, 2):
        told = call(service, "POST", "/_events", json=[bought, seen, {"kind": "purchase"}]).json()
        assert (told["accepted"], told["repeated"]) == (2 - repeated, repeated)
        assert [one["number"] for one in told["refused"]] == [2]
    after = items(search(service, {**RECOMMENDED, "size": 60}, user="ann"))
    assert after.index(before[0]) > 0
    assert set(after) == set(before)
    assert items(search(service, {**RECOMMENDED, "size": 60}, user="ann", without="downrank")) == before
    assert service.events is not None
    service.events.close()
    (file,) = (tmp_path / "events").glob("events-*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["kind"], line["item_id"]) for line in lines] == [("purchase", before[0]), ("impression", before[3])]
    assert lines[1]["position"] == 4
    assert lines[1]["request_id"] == "r1"


def test_typed_text_keeps_a_floor_through_its_pages(shop: Engine, service: Service) -> None:
    body = {"query": {"match": {"title": "tomato soup"}}, "sort": "recommended", "size": 5, "track_scores": True}
    best = shop.search(ALIAS, {"query": body["query"], "size": 120})["hits"]["hits"]
    relevant = {hit["_id"] for hit in best if hit["_score"] >= 0.9 * best[0]["_score"]}
    assert 10 < len(relevant) < len(best)
    found: list[str] = []
    answer = search(service, body, floor="0.9")
    while True:
        found += items(answer)
        cursor = answer["es_ranking"]["cursor"]
        if cursor is None:
            break
        answer = search(service, body, cursor=cursor)
    assert set(found) == relevant
    assert len(found) == len(relevant)
    assert len(best) == search(service, body)["hits"]["total"]["value"]


def test_health_tells_the_generation_and_metrics_count(service: Service) -> None:
    health = call(service, "GET", "/_health").json()
    assert health["status"] == "ok"
    assert health["indices"][ALIAS]["age_hours"] > 24
    search(service, RECOMMENDED)
    search(service, QUERY)
    text = call(service, "GET", "/metrics").text
    age = next(line for line in text.splitlines() if line.startswith("es_ranking_generation_age_hours{"))
    assert age.startswith(f'es_ranking_generation_age_hours{{index="{ALIAS}"}} ')
    assert float(age.rpartition(" ")[2]) == pytest.approx(health["indices"][ALIAS]["age_hours"], abs=0.1)
    assert 'es_ranking_searches_total{way="passed_on"} 1' in text
    assert 'es_ranking_requests_total{route="search",status="200"} 2' in text
    assert 'es_ranking_request_seconds_count{route="search"} 2' in text
