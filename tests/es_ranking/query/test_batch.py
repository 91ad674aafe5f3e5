"""Several lists in one request, lists awaited, lists read piece by piece: the pages are the same. On a real engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.awaited import AwaitedSearches
from es_ranking.engine.contract import Answer, Body, Engine
from es_ranking.engine.errors import EngineRejected, EngineUnreachable
from es_ranking.engine.transport import EngineConfig
from es_ranking.query import Request, recommended, recommended_batch
from es_ranking.query.awaited import recommended_async
from es_ranking.query.page import Page
from es_ranking.twiddlers.settings import PLAIN, Surface
from segments.errors import RankingError, UsageError
from tests.es_ranking.query.shop import NOON, SURFACE, open_shop

N = 150
BOOSTED = Surface.of(
    {
        "name": "boosted",
        "twiddlers": [
            {"kind": "boosts", "boosts": [{"where": {"list": ["TEA"]}, "factor": 3.0}]},
            *(one.model_dump() for one in SURFACE.twiddlers),
        ],
    }
)


class Spy:
    """An engine that writes down which searches it was asked for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.asked: list[list[Body]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def search(self, index: str, body: Body, *, timeout_seconds: float | None = None) -> Answer:
        self.asked.append([body])
        return self.engine.search(index, body)

    def msearch(self, searches: Sequence[tuple[str, Body]], *, timeout_seconds: float | None = None) -> list[Answer]:
        self.asked.append([body for _, body in searches])
        return self.engine.msearch(searches)


@pytest.fixture(scope="module")
def shop(engine: Engine) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    alias = "t-batch"
    close = [state.name for state in engine.indices(f"{alias}-*")]
    for index in close:
        engine.delete_index(index)
    yield alias, open_shop(engine, alias, n=N)
    for state in engine.indices(f"{alias}-*"):
        engine.delete_index(state.name)


def bought(items: Sequence[str]) -> MemoryActionStore:
    store = MemoryActionStore()
    store.record(
        [
            Action("ann", item, "purchase", NOON - timedelta(hours=1, seconds=k), f"{item}:{k}")
            for k, item in enumerate(items)
        ]
    )
    return store


def told(page: Page | RankingError) -> tuple[object, ...]:
    assert isinstance(page, Page)
    return page.items, page.segment, page.certificate, page.way, page.flags, page.total, page.requests


def test_each_list_is_as_it_is_alone_and_they_share_requests(engine: Engine, shop) -> None:
    alias, documents = shop
    actions = bought(random.Random(2).sample(sorted(documents), 40))
    soup = {"query": {"term": {"list": "SOUP"}}, "aggs": {"brands": {"terms": {"field": "brand_id"}}}}
    requests = [
        Request(alias, {"size": 30}, user="ann", at=NOON, surface=SURFACE),
        Request(alias, {**soup, "size": 5}, user="ann", at=NOON, surface=SURFACE),
        Request(alias, {"size": 7, "from": 3}, user="bob", at=NOON, surface=PLAIN),
        Request(alias, {"size": 12}, user="ann", at=NOON, surface=BOOSTED),
        Request(alias, {"size": 20, "from": 60}, user="ann", variant="B1", at=NOON, surface=SURFACE),
    ]
    alone = [
        recommended(engine, one.index, one.body, user=one.user, variant=one.variant, at=one.at, surface=one.surface,
                    actions=actions)
        for one in requests
    ]  # fmt: skip
    spy = Spy(engine)
    pages = recommended_batch(spy, requests, actions=actions)  # type: ignore[arg-type]
    assert [told(page) for page in pages] == [told(page) for page in alone]
    second = pages[1]
    assert isinstance(second, Page)
    assert second.response["aggregations"] == alone[1].response["aggregations"]
    assert len(spy.asked) == max(page.requests for page in alone), "as many round trips as the longest list needs"
    assert recommended_batch(engine, []) == []


def test_one_list_that_fails_leaves_the_others_alone(engine: Engine, shop) -> None:
    alias, _ = shop
    good = Request(alias, {"size": 5}, user="ann", at=NOON)
    pages = recommended_batch(
        engine,
        [good, Request(alias, {}, segment="nobody's"), Request(alias, {"query": {"no_such": {}}}), good],
    )
    right = told(recommended(engine, alias, {"size": 5}, user="ann", at=NOON))
    assert [told(pages[0]), told(pages[3])] == [right, right]
    assert isinstance(pages[1], UsageError)
    assert isinstance(pages[2], EngineRejected)


def test_an_engine_that_is_gone_is_every_lists_trouble(engine: Engine, shop) -> None:
    alias, _ = shop

    class Gone(Spy):
        def search(self, *_: Any, **__: Any) -> Answer:
            raise EngineUnreachable("cut")

        msearch = search  # type: ignore[assignment]

    pages = recommended_batch(Gone(engine), [Request(alias, {}), Request(alias, {"size": 3})])  # type: ignore[arg-type]
    assert [type(page) for page in pages] == [EngineUnreachable, EngineUnreachable]


@pytest.mark.parametrize("way", ["at_once", "plan_then_fetch"])
@pytest.mark.parametrize("surface", [SURFACE, BOOSTED], ids=["gaps", "boosts"])
def test_what_lacks_of_a_list_is_read_and_nothing_twice(engine: Engine, shop, way: str, surface: Surface) -> None:
    """Nearly everything was bought: the first window cannot do. Hits without a rank, which come last, are read too."""
    alias, documents = shop
    by_rank = sorted(documents, key=lambda item: -documents[item]["rank"]["B"].get("d_young", 0.0))
    actions = bought(by_rank[: N - 30])
    whole = recommended(engine, alias, {"size": N}, user="ann", at=NOON, surface=surface, actions=actions, way="script")
    assert sorted(whole.items) == sorted(documents)
    spy = Spy(engine)
    body = {"size": 60, "aggs": {"n": {"value_count": {"field": "item_id"}}}}
    page = recommended(spy, alias, body, user="ann", at=NOON, surface=surface, actions=actions, way=way)  # type: ignore[arg-type]
    assert page.items == whole.items[:60]
    assert page.response["aggregations"]["n"]["value"] == page.total == N
    first, *more = (asked[0] for asked in spy.asked if "sort" in asked[0] and len(asked[0]["sort"]) > 1)
    assert more, "the first window was too short"
    assert first["size"] + sum(one["size"] for one in more) <= N + 40
    assert all("search_after" in one and "aggs" not in one for one in more)
    rest = recommended(engine, alias, {"size": N, "from": 60}, user="ann", at=NOON, surface=surface, actions=actions)
    assert page.items + rest.items == whole.items


def test_awaited_pages_are_the_same(engine: Engine, shop) -> None:
    alias, documents = shop
    actions = bought(random.Random(3).sample(sorted(documents), 40))
    requests = [
        Request(alias, {"size": size, "from": start}, user="ann", at=NOON, surface=surface)
        for size, start, surface in [(30, 0, SURFACE), (9, 50, BOOSTED), (4, 0, PLAIN)]
    ]
    broken = [Request(alias, body, at=NOON) for body in ({"query": {"no_such": {}}}, {"collapse": {"field": "\ud800"}})]

    async def all_of_them() -> list[Page | BaseException]:
        async with AwaitedSearches(engine.config) as searches:  # type: ignore[attr-defined]
            asked = [recommended_async(engine, searches, one, actions=actions) for one in [*requests, *broken]]
            return list(await asyncio.gather(*asked, return_exceptions=True))

    *pages, trouble, half = asyncio.run(all_of_them())
    alone = recommended_batch(engine, requests, actions=actions)
    assert [told(page) for page in pages] == [told(page) for page in alone]  # type: ignore[arg-type]
    assert isinstance(trouble, EngineRejected)
    assert "no_such" in str(trouble)
    assert isinstance(half, EngineRejected), "half a character pair names no field"


def test_an_engine_that_is_gone_is_told_awaited_too(engine: Engine) -> None:
    async def ask() -> None:
        async with AwaitedSearches(EngineConfig("http://127.0.0.1:1")) as searches:
            await searches.msearch([("nobody", {})])

    with pytest.raises(EngineUnreachable, match="does not answer"):
        asyncio.run(ask())
