"""The command as a process: the official client only gets another address, and a stop finishes the event log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import ApiError, Elasticsearch
from opensearchpy import OpenSearch, TransportError

from es_ranking.engine.contract import Engine
from es_ranking.query import recommended
from es_ranking.twiddlers.settings import load_surface
from tests.es_ranking.query.shop import open_shop
from tests.es_ranking.serve.process import serving

ALIAS = "t-over-http"
# index, body, headers → answer; path, body → answer
Search = Callable[..., Any]
Post = Callable[[str, Any], Any]


@contextmanager
def elasticsearch(url: str) -> Iterator[tuple[Search, Post]]:
    json_only = {"content-type": "application/json", "accept": "application/json"}
    with closing(Elasticsearch(url, max_retries=0)) as client:

        def search(index: str, body: Any, **headers: str) -> Any:
            return (client.options(headers=headers) if headers else client).search(index=index, **body)

        yield (
            search,
            lambda path, body: client.perform_request("POST", path, body=body, headers=json_only),
        )


@contextmanager
def opensearch(url: str) -> Iterator[tuple[Search, Post]]:
    with closing(OpenSearch(hosts=[url], max_retries=0)) as client:

        def search(index: str, body: Any, **headers: str) -> Any:
            # as a parameter, which the other client makes of a sort like this by itself
            sort = {"sort": body["sort"]} if "sort" in body else {}
            rest = {name: value for name, value in body.items() if name != "sort"}
            return client.search(index=index, body=rest, headers=headers, **sort)

        yield (
            search,
            lambda path, body: client.transport.perform_request("POST", path, body=json.dumps(body)),
        )


OFFICIAL = {"elasticsearch": (elasticsearch, ApiError), "opensearch": (opensearch, TransportError)}


@pytest.fixture
def shop(engine: Engine) -> Iterator[str]:
    open_shop(engine, ALIAS)
    yield ALIAS
    for state in engine.indices(f"{ALIAS}-*"):
        engine.delete_index(state.name)


def test_the_official_client_speaks_to_it(engine: Engine, engine_url: str, shop: str, tmp_path: Path) -> None:
    official, refusal = OFFICIAL[engine.product]
    everything = {"query": {"match_all": {}}}
    with serving(shop, tmp_path, ES_URL=engine_url) as url, official(url) as (search, post):
        cheap = search(shop, {**everything, "sort": "price:asc", "size": 3})
        own = engine.search(shop, {**everything, "sort": [{"price": "asc"}], "size": 3})
        assert cheap["hits"] == own["hits"]
        page = search(shop, {**everything, "sort": "recommended", "size": 5}, **{"x-es-ranking-user": "ann"})
        own_page = recommended(engine, shop, {"size": 5}, user="ann", surface=load_surface("search"))
        assert [hit["_id"] for hit in page["hits"]["hits"]] == own_page.items
        assert page["es_ranking"]["segment"] == "d_young"
        with pytest.raises(refusal, match="not served here") as missing:
            search("another", {})
        assert missing.value.status_code == 404
        with pytest.raises(refusal, match="cannot be combined") as wrong:
            search(shop, {"sort": "recommended", "search_after": [1]})
        assert wrong.value.status_code == 400
        now = datetime.now(UTC).isoformat()
        event = {"event_id": "e", "ts": now, "user_id": "ann", "item_id": "p1", "kind": "click"}
        assert post("/_events", [event])["accepted"] == 1
    (file,) = (tmp_path / "events").glob("events-*.jsonl")
    assert json.loads(file.read_text())["event_id"] == "e"
    shown = (tmp_path / "log").read_text()
    assert "POST search 200" in shown
    assert "Traceback" not in shown
    assert "ann" not in shown
