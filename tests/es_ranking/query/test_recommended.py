"""Recommended on a real engine: who is served, all ways one order, pages that neither repeat nor lose an item."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from es_ranking.actions.contract import Action, ActionsUnavailable
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.actions.redis import RedisActionStore
from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import IndexMissing
from es_ranking.publish.generation import Generation
from es_ranking.query import recommended, rewrite
from es_ranking.query.kept import kept_of
from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.settings import Surface
from segments.errors import Refused, UsageError
from tests.es_ranking.query.shop import NOON, RUN, SURFACE, open_shop

KEY = b"a key of sixteen bytes or more"
N = 120
SOUP = {"query": {"bool": {"filter": [{"terms": {"list": ["SOUP", "TEA", "RICE"]}}]}}}
PINNED = Surface.of(
    {**SURFACE.model_dump(), "name": "pinned", "twiddlers": [
        *(one.model_dump() for one in SURFACE.twiddlers),
        {"kind": "pins", "pins": [
            {"item": "p007", "slot": 2}, {"item": "p011", "slot": 9}, {"item": "nobody", "slot": 1}]},
    ]}
)  # fmt: skip


@pytest.fixture(scope="module", params=[1, 5], ids=["1 shard", "5 shards"])
def shop(engine: Engine, request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    alias = f"t-recommended-{request.param}"
    _close(engine, alias)
    yield alias, open_shop(engine, alias, shards=request.param, n=N)
    _close(engine, alias)


def _close(engine: Engine, alias: str) -> None:
    for state in engine.indices(f"{alias}-*"):
        engine.delete_index(state.name)


def bought(*items: str, user: str = "ann", kind: str = "purchase") -> MemoryActionStore:
    store = MemoryActionStore()
    store.record(
        [Action(user, item, kind, NOON - timedelta(hours=n + 1), f"{item}:{n}") for n, item in enumerate(items)]
    )
    return store


def expected(
    documents: dict[str, dict[str, Any]], lists: set[str] | None, variant: str, segment: str,
    surface: Surface, actions: MemoryActionStore | None,
) -> list[str]:  # fmt: skip
    """The pure planner over the whole catalogue: what the engine must agree with."""
    hits = [
        Hit(
            item,
            document["rank"][variant].get(segment),
            {name: (document[name],) for name in ("brand_id", "list") if name in document},
        )
        for item, document in documents.items()
        if lists is None or document["list"] in lists
    ]
    hits.sort(key=lambda hit: (hit.score is None, -(hit.score or 0.0), hit.item_id))
    counts = actions.counts("ann", NOON, timedelta(days=7)) if actions else {}
    facts = Facts(counts, {hit.item_id: hit for hit in hits})
    planner = Planner([settings.build(facts) for settings in surface.twiddlers])
    return [entry.hit.item_id for entry in planner.plan(hits, len(hits), ended=True).order]


def test_a_plain_sort_for_everybody_and_for_somebody(engine: Engine, shop) -> None:
    alias, documents = shop
    page = recommended(engine, alias, {"size": N})
    assert (page.segment, page.variant, page.way, page.requests) == ("all", "B", "field", 1)
    assert page.items == expected(documents, None, "B", "all", Surface(name="x"), None)
    assert recommended(engine, alias, {}, user="ann").segment == "d_young"
    assert recommended(engine, alias, {}, user="ann", variant="B1").segment == "g_gold"
    assert recommended(engine, alias, {}, user="bob", variant="B1").segment == "d_old"
    assert recommended(engine, alias, {}, user="nobody").segment == "all"
    assert recommended(engine, alias, {}, user="ann", variant="A").segment == "all"
    other = recommended(engine, alias, {"size": N}, user="ann", segment="d_old")
    assert other.items == expected(documents, None, "B", "d_old", Surface(name="x"), None)
    assert page.generation == Generation(RUN, 1, alias).id


def test_unknown_names_are_refused(engine: Engine, shop) -> None:
    alias, _ = shop
    with pytest.raises(UsageError, match=r"unknown segment of variant B 'd_yong'.*d_young"):
        recommended(engine, alias, {}, segment="d_yong")
    with pytest.raises(UsageError, match="unknown segment of variant A 'd_old'"):
        recommended(engine, alias, {}, segment="d_old", variant="A")
    with pytest.raises(UsageError, match="unknown variant"):
        recommended(engine, alias, {}, variant="Z")
    with pytest.raises(UsageError, match="unknown twiddler"):
        recommended(engine, alias, {}, twiddlers=["shuffle"])
    with pytest.raises(UsageError, match="unknown way"):
        recommended(engine, alias, {}, way="magic")
    with pytest.raises(IndexMissing):
        recommended(engine, "t-no-such-shop", {})


def test_an_index_without_ranks_is_refused(engine: Engine, index_name: str) -> None:
    engine.create_index(index_name, {})
    with pytest.raises(Refused, match="nothing is published"):
        recommended(engine, index_name, {})


@pytest.mark.parametrize("surface", [SURFACE, PINNED], ids=["gaps", "pins"])
@pytest.mark.parametrize("lists", [None, {"SOUP", "TEA", "RICE"}], ids=["all", "filtered"])
def test_all_ways_give_the_planners_order(engine: Engine, shop, surface: Surface, lists: set[str] | None) -> None:
    alias, documents = shop
    rng = random.Random(5)
    body = SOUP if lists else {"query": {"match_all": {}}}
    for _ in range(6):
        actions = bought(*rng.sample(sorted(documents), 30))
        right = expected(documents, lists, "B", "d_young", surface, actions)
        start, size = rng.randint(0, 40), rng.randint(1, 30)
        for way in ("auto", "at_once", "plan_then_fetch", "script"):
            page = recommended(
                engine, alias, {**body, "from": start, "size": size}, user="ann", at=NOON, surface=surface,
                actions=actions, way=way,
            )  # fmt: skip
            assert page.items == right[start : start + size], way
            assert [hit.source["item_id"] for hit in page.hits] == page.items
            assert page.total == len(right)
            assert [hit["sort"][1] for hit in page.response["hits"]["hits"]] == page.items
            assert all("fields" not in hit for hit in page.response["hits"]["hits"])
        again = rewrite(
            engine, alias, {**body, "from": start, "size": size}, user="ann", at=NOON, surface=surface, actions=actions
        )
        answer = engine.search(again.index, again.body)
        assert [hit["_source"]["item_id"] for hit in answer["hits"]["hits"]] == right[start : start + size]


def test_downrank_alone_is_one_script_without_a_plan(engine: Engine, shop) -> None:
    alias, documents = shop
    actions = bought("p001", "p002", "p003", "p001")
    only = Surface(name="x", twiddlers=SURFACE.twiddlers[:1])
    right = expected(documents, None, "B", "d_young", only, actions)
    asked: dict[str, Any] = {
        "user": "ann",
        "at": NOON,
        "surface": SURFACE,
        "twiddlers": ["downrank"],
        "actions": actions,
    }
    script = recommended(engine, alias, {"size": N}, way="script", **asked)
    assert script.items == right
    assert script.requests == 1
    assert recommended(engine, alias, {"size": N}, way="plan_then_fetch", **asked).items == right
    off = recommended(engine, alias, {"size": N}, user="ann", surface=SURFACE, twiddlers=[], actions=actions)
    assert off.way == "field"


def test_the_callers_own_parts_survive_every_way(engine: Engine, shop) -> None:
    alias, _ = shop
    body = {
        "query": {"match": {"title": "soup"}},
        "aggs": {"lists": {"terms": {"field": "list"}}},
        "highlight": {"fields": {"title": {}}},
        "_source": ["title"],
        "docvalue_fields": ["brand_id", "price"],
        "sort": "recommended",
        "size": 12,
        "track_total_hits": True,
    }
    kept = dict(body)
    pages = {
        way: recommended(engine, alias, body, user="ann", at=NOON, surface=SURFACE, actions=bought("p001"), way=way)
        for way in ("at_once", "plan_then_fetch", "script")
    }
    assert body == kept, "the caller's body is not ours to change"
    first = pages["script"]
    for way, page in pages.items():
        assert page.way == way
        assert page.items == first.items
        assert page.response["aggregations"] == first.response["aggregations"]
        for mine, other in zip(page.hits, first.hits, strict=True):
            assert mine.hit == other.hit
            assert set(mine.hit["_source"]) == {"title"}
            assert "highlight" in mine.hit
            assert set(mine.hit["fields"]) - {"brand_id"} == {"price"}


def test_pages_are_slices_of_one_sequence_while_the_user_acts(engine: Engine, shop) -> None:
    alias, documents = shop
    rng = random.Random(8)
    for surface in (SURFACE, PINNED):
        actions = bought(*rng.sample(sorted(documents), 25))
        right = expected(documents, {"SOUP", "TEA", "RICE"}, "B", "d_young", surface, actions)
        shown: list[str] = []
        cursor, n = None, 0
        while True:
            page = recommended(
                engine, alias, {**SOUP, "size": rng.randint(1, 17)}, user="ann", surface=surface, actions=actions,
                cursor=cursor, at=NOON, key=KEY, way=rng.choice(["auto", "plan_then_fetch", "script"]),
            )  # fmt: skip
            shown += page.items
            # everything just shown is bought twice: the sequence must not notice
            for item in page.items * 2:
                n += 1
                actions.record([Action("ann", item, "purchase", NOON + timedelta(seconds=n), f"late{n}")])
            cursor = page.cursor
            if cursor is None:
                break
            if rng.random() < 0.4:
                kept_of(engine).take(cursor)  # as if another front end went on
        assert shown == right
        later = NOON + timedelta(hours=1)
        actions.record(
            [Action("ann", shown[0], "purchase", later - timedelta(seconds=k), f"more{k}") for k in range(1, 9)]
        )
        fresh = recommended(engine, alias, {**SOUP, "size": 5}, user="ann", surface=SURFACE, actions=actions, at=later)
        assert fresh.items[0] != shown[0], "a new search does notice"


def test_redis_gone_or_slow_the_search_goes_on_and_says_so(engine: Engine, shop) -> None:
    alias, documents = shop
    down = RedisActionStore("redis://127.0.0.1:1/0")
    asked: dict[str, Any] = {"user": "ann", "at": NOON, "surface": SURFACE, "key": KEY}
    page = recommended(engine, alias, {"size": 10}, actions=down, **asked)
    assert page.flags == ("actions_unavailable",)
    assert page.items == expected(documents, None, "B", "d_young", SURFACE, None)[:10]
    # the store is back: the pages of this list still go without, or items would repeat
    back = bought(*page.items)
    following = recommended(engine, alias, {"size": 10}, actions=back, cursor=page.cursor, **asked)
    assert following.items == expected(documents, None, "B", "d_young", SURFACE, None)[10:20]
    assert following.flags == ("actions_unavailable",)
    with pytest.raises(ActionsUnavailable):
        down.counts("ann", NOON, timedelta(days=1))


def test_actions_from_redis(engine: Engine, shop, redis_url: str) -> None:
    alias, documents = shop
    store = RedisActionStore(redis_url, timeout_seconds=5.0, prefix=f"test:{alias}:")
    store.forget("ann")
    first = recommended(engine, alias, {"size": 1}, user="ann", at=NOON, surface=SURFACE, actions=store).items[0]
    store.record([Action("ann", first, "purchase", NOON - timedelta(days=1), "e1")])
    page = recommended(engine, alias, {"size": N}, user="ann", at=NOON, surface=SURFACE, actions=store, explain=True)
    assert page.items == expected(documents, None, "B", "d_young", SURFACE, bought(first))
    moves = [move for hit in page.hits if hit.item == first for move in hit.moves]
    assert (moves[0].stage, moves[0].source, moves[0].reason) == ("downrank", 1, "purchase x1: score x 0.5")
    store.forget("ann")
    store.close()
