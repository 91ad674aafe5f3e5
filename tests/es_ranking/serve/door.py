"""A service without a server: an engine in memory, and a client that calls the application directly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from es_ranking.actions.contract import ActionStore
from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import Generation
from es_ranking.publish.meta import GenerationMeta
from es_ranking.query.exposures import ExposureLog
from es_ranking.schema import rank_fields
from es_ranking.serve.app import build_app
from es_ranking.serve.event_log import EventLog
from es_ranking.serve.passing import Passed, Passing
from es_ranking.serve.pool import Pool
from es_ranking.serve.service import Service
from es_ranking.serve.settings import ServeSettings
from segments.errors import RankingError
from tests.es_ranking.query.shop import CATALOGUE, NOON, RUN, SURFACE

KEY = b"a key of sixteen bytes or more"
ALIAS = "shop"


class MemoryEngine:
    """Thirty items in one order, whatever the query; `failure` is raised by every search."""

    url, product = "http://memory", "elasticsearch"

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.generation = Generation(RUN, 1, ALIAS)
        self.searches: list[Mapping[str, Any]] = []

    def info(self) -> dict[str, Any]:
        if isinstance(self.failure, RankingError):
            raise self.failure
        return {"version": {"number": "9.4.3"}}

    def get_alias(self, alias: str) -> list[str]:
        return [self.generation.index] if alias == ALIAS else []

    def get_mapping(self, _: str) -> dict[str, Any]:
        fields = rank_fields(CATALOGUE)
        meta = GenerationMeta(
            self.generation.id, ALIAS, RUN, 1, NOON.isoformat(), "B", fields, CATALOGUE.model_dump(mode="json"), 30
        )
        return {"_meta": meta.to_meta(), "properties": {}}

    def get(self, _: str, __: str) -> None:
        return None

    def search(self, _: str, body: Mapping[str, Any], *, timeout_seconds: float | None = None) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        self.searches.append(body)
        json.dumps(body)
        hits = [self._hit(place) for place in range(30)]
        if body.get("sort") == [{"item_id": "asc"}]:
            wanted = body["query"]["bool"]["filter"][-1]["terms"]["item_id"]
            hits = [hit | {"sort": hit["sort"][1:]} for hit in hits if hit["_id"] in wanted]
        after = body.get("search_after")
        start = body.get("from", 0) if after is None else 1 + [hit["_id"] for hit in hits].index(after[-1])
        return {"took": 1, "hits": {"total": {"value": 30, "relation": "eq"}, "hits": hits[start:][: body["size"]]}}

    def _hit(self, place: int) -> dict[str, Any]:
        item = f"i{place:02}"
        return {
            "_index": self.generation.index, "_id": item, "_source": {"item_id": item}, "_score": 8.0,
            "sort": [1.0 - place / 100, item], "fields": {"brand_id": [f"b{place % 4}"], "list": ["one"]},
        }  # fmt: skip


class MemoryPassing:
    """Answers everything with one body, and remembers what came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, tuple[tuple[str, str], ...]]] = []

    def search(
        self, index: str, body: bytes, *, params: Sequence[tuple[str, str]] = (), headers: Mapping[str, str]
    ) -> Passed:
        self.seen.append((index, body, tuple(params)))
        return Passed(200, b'{"took":1}', {"content-type": "application/json"})


def service_of(
    engine: Engine | MemoryEngine, *, passing: Passing | None = None, actions: ActionStore | None = None,
    events: EventLog | None = None, exposures: ExposureLog | None = None, index: str = ALIAS, **settings: Any,
) -> Service:  # fmt: skip
    """A service with the small shop's surface."""
    given = ServeSettings(**{"indices": (index,), "surface": SURFACE.name, "threads": 2, "waiting": 2, **settings})
    pool = Pool(threads=given.threads, waiting=given.waiting, timeout_seconds=given.timeout_seconds)
    return Service(
        settings=given, engine=engine, passing=passing or MemoryPassing(), surfaces={SURFACE.name: SURFACE}, pool=pool,
        actions=actions, exposures=exposures, events=events, key=KEY,
    )  # fmt: skip


def call(service: Service, method: str, path: str, **sent: Any) -> httpx.Response:
    """One request; an exception that leaves the application fails the test."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(build_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            return await client.request(method, path, **sent)

    return asyncio.run(ask())


def refused(response: httpx.Response) -> str:
    """The reason of a refusal, which is one line of the engine's shape."""
    assert response.content.count(b"\n") == 1
    assert b"Traceback" not in response.content
    told = response.json()
    assert told["status"] == response.status_code
    assert told["error"]["type"]
    assert told["error"]["reason"]
    return str(told["error"]["reason"])
