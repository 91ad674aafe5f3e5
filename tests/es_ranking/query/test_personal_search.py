"""The personal re-sort on a real engine: all ways one order, stable pages, and the segment's order where it must be."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.contract import Engine
from es_ranking.query import recommended, rewrite
from es_ranking.schema import VECTOR
from es_ranking.tastes.clicks import add_clicks
from es_ranking.tastes.contract import Taste, TasteStore
from es_ranking.tastes.memory import MemoryTasteStore
from es_ranking.tastes.redis import RedisTasteStore
from es_ranking.tastes.vectors import from_text
from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.settings import Surface
from segments.errors import Refused
from tests.es_ranking.query.shop import NOON, SURFACE, open_shop

KEY = b"a key of sixteen bytes or more"
N = 120
SPACE = "product-0123"
TASTE = Taste(30, np.array([40.0, -10.0, 5.0], dtype=np.float32))
OWN = Surface.of(
    {**SURFACE.model_dump(), "name": "own", "twiddlers": [
        *(one.model_dump() for one in SURFACE.twiddlers), {"kind": "personal", "least": 20, "depth": 40}]}
)  # fmt: skip
ALIAS = "t-personal"


@pytest.fixture(scope="module")
def documents(engine: Engine) -> Iterator[dict[str, dict[str, Any]]]:
    _close(engine, ALIAS)
    yield open_shop(engine, ALIAS, shards=2, n=N, space=SPACE)
    _close(engine, ALIAS)


def _close(engine: Engine, alias: str) -> None:
    for state in engine.indices(f"{alias}-*"):
        engine.delete_index(state.name)


def loaded(taste: Taste = TASTE, user: str = "ann") -> MemoryTasteStore:
    store = MemoryTasteStore()
    store.load(SPACE, NOON, [(user, taste)], segments={})
    return store


def bought(*items: str) -> MemoryActionStore:
    store = MemoryActionStore()
    store.record([Action("ann", item, "purchase", NOON - timedelta(hours=1), item) for item in items])
    return store


def expected(
    documents: dict[str, dict[str, Any]], taste: Taste | None, actions: MemoryActionStore, surface: Surface = OWN
) -> list[str]:
    """The pure planner over the whole catalogue."""
    hits = [
        Hit(
            item,
            document["rank"]["B"].get("d_young"),
            {name: (document[name],) for name in ("brand_id", "list", VECTOR) if name in document},
        )
        for item, document in documents.items()
    ]
    hits.sort(key=lambda hit: (hit.score is None, -(hit.score or 0.0), hit.item_id))
    facts = Facts(actions.counts("ann", NOON, timedelta(days=7)), taste=taste)
    planner = Planner([settings.build(facts) for settings in surface.twiddlers])
    return [entry.hit.item_id for entry in planner.plan(hits, len(hits), ended=True).order]


def test_all_ways_give_the_planners_order(engine: Engine, documents: dict[str, dict[str, Any]]) -> None:
    rng = random.Random(3)
    asked: dict[str, Any] = {"user": "ann", "at": NOON, "surface": OWN, "tastes": loaded()}
    for _ in range(4):
        actions = bought(*rng.sample(sorted(documents), 20))
        right = expected(documents, TASTE, actions)
        assert right != expected(documents, None, actions)
        start, size = rng.randint(0, 30), rng.randint(1, 30)
        body = {"from": start, "size": size, "_source": ["title"]}
        for way in ("auto", "at_once", "plan_then_fetch", "script"):
            page = recommended(engine, ALIAS, body, actions=actions, way=way, **asked)
            assert page.items == right[start : start + size], way
            assert page.flags == ()
            assert all("fields" not in hit.hit and set(hit.source) == {"title"} for hit in page.hits)
        again = rewrite(engine, ALIAS, {"from": start, "size": size}, actions=actions, **asked)
        answer = engine.search(again.index, again.body)
        assert [hit["_source"]["item_id"] for hit in answer["hits"]["hits"]] == right[start : start + size]


def test_explained_and_switched_off(engine: Engine, documents: dict[str, dict[str, Any]]) -> None:
    asked: dict[str, Any] = {"user": "ann", "at": NOON, "surface": OWN, "tastes": loaded()}
    page = recommended(engine, ALIAS, {"size": N}, twiddlers=["personal"], explain=True, **asked)
    moves = [move for hit in page.hits for move in hit.moves]
    assert {move.stage for move in moves} == {"personal"}
    assert all(move.reason.startswith("taste of 30 clicks") or "others" in move.reason for move in moves)
    off = recommended(engine, ALIAS, {"size": N}, twiddlers=[], **asked)
    assert off.way == "field"
    assert off.items != page.items


def test_below_the_threshold_or_without_a_taste_the_order_is_the_segments(
    engine: Engine, documents: dict[str, dict[str, Any]]
) -> None:
    actions = bought("p001", "p002")
    right = expected(documents, None, actions, SURFACE)
    few = loaded(Taste(19, TASTE.total))
    for user, store in (("ann", few), ("ann", MemoryTasteStore()), ("ann", None)):
        page = recommended(engine, ALIAS, {"size": N}, user=user, at=NOON, surface=OWN, actions=actions, tastes=store)
        assert page.items == right
    plain = recommended(
        engine, ALIAS, {"size": 10}, user="ann", at=NOON, surface=OWN, tastes=few, twiddlers=["personal"]
    )
    assert plain.way == "field", "and costs nothing"


def test_pages_are_slices_while_the_user_clicks(engine: Engine, documents: dict[str, dict[str, Any]]) -> None:
    store, actions, rng = loaded(), bought("p003"), random.Random(5)
    right = expected(documents, TASTE, actions)
    shown: list[str] = []
    cursor = None
    while True:
        page = recommended(
            engine, ALIAS, {"size": rng.randint(1, 17)}, user="ann", at=NOON, surface=OWN, actions=actions,
            tastes=store, cursor=cursor, key=KEY, way=rng.choice(["auto", "plan_then_fetch", "script"]),
        )  # fmt: skip
        shown += page.items
        clicks = [Action("ann", item, "click", NOON, f"c{item}") for item in page.items]
        add_clicks(engine, ALIAS, clicks, store)
        cursor = page.cursor
        if cursor is None:
            break
    assert shown == right
    later = recommended(
        engine,
        ALIAS,
        {"size": N},
        user="ann",
        at=NOON + timedelta(minutes=1),
        surface=OWN,
        actions=actions,
        tastes=store,
    )
    assert later.items != right, "a new search does notice"


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[TasteStore]:
    if request.param == "memory":
        yield MemoryTasteStore()
        return
    kept = RedisTasteStore(request.getfixturevalue("redis_url"), prefix="test:personal:", timeout_seconds=5.0)
    kept.forget(SPACE, "ann")
    yield kept
    kept.forget(SPACE, "ann")
    kept.close()


def test_clicks_alone_graduate_a_user(engine: Engine, documents: dict[str, dict[str, Any]], store: TasteStore) -> None:
    items = [item for item, document in documents.items() if VECTOR in document][:20]
    without = next(item for item, document in documents.items() if VECTOR not in document)
    begun = NOON - timedelta(hours=1)
    clicks = [Action("ann", item, "click", begun, f"c{item}") for item in [*items, without, "nowhere"]]
    clicks.append(Action("ann", items[0], "view", begun, "v"))
    asked: dict[str, Any] = {"user": "ann", "at": NOON, "surface": OWN, "tastes": store}
    assert add_clicks(engine, ALIAS, clicks[:19], store) == 19
    assert recommended(engine, ALIAS, {"size": N}, **asked).items == expected(documents, None, bought())
    assert add_clicks(engine, ALIAS, clicks, store) == 20, "items without a vector, and what is no click, do not count"
    taste = store.taste(SPACE, "ann", NOON, segment="d_young")
    assert taste.count == 20
    total = sum(from_text(documents[item][VECTOR]).astype(np.float64) for item in items)
    assert taste.total == pytest.approx(total, abs=1e-5)
    assert recommended(engine, ALIAS, {"size": N}, **asked).items == expected(documents, taste, bought())


def test_a_store_that_is_down_is_flagged_on_every_page(engine: Engine, documents: dict[str, dict[str, Any]]) -> None:
    right = expected(documents, None, bought())
    asked: dict[str, Any] = {"user": "ann", "at": NOON, "surface": OWN, "key": KEY}
    down = RedisTasteStore("redis://127.0.0.1:1/0")
    page = recommended(engine, ALIAS, {"size": 10}, tastes=down, **asked)
    assert (page.flags, page.items) == (("tastes_unavailable",), right[:10])
    following = recommended(engine, ALIAS, {"size": 10}, tastes=loaded(), cursor=page.cursor, **asked)
    assert (following.flags, following.items) == (("tastes_unavailable",), right[10:20])


def test_a_generation_without_vectors_is_served_as_ever(engine: Engine) -> None:
    alias = "t-impersonal"
    _close(engine, alias)
    shop = open_shop(engine, alias, n=40)
    page = recommended(engine, alias, {"size": 40}, user="ann", at=NOON, surface=OWN, tastes=loaded())
    assert page.items == expected(shop, None, bought())
    with pytest.raises(Refused, match="no item vectors"):
        add_clicks(engine, alias, [Action("ann", "p001", "click", NOON, "c")], loaded())
    _close(engine, alias)
