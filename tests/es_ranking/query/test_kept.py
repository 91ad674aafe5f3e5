"""A list goes on where its last page ended: as on a front end that never saw it, with less to read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.contract import Engine
from es_ranking.query import recommended
from es_ranking.query.body import take_apart
from es_ranking.query.kept import KeptLists, kept_of
from es_ranking.query.page import Page
from es_ranking.query.planning import Kept, Window
from es_ranking.scripts.sorts import field_sort
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.settings import Surface
from tests.es_ranking.query.shop import NOON, SURFACE, open_shop
from tests.es_ranking.query.test_batch import BOOSTED, Spy, bought

N, KEY = 240, b"a key of sixteen bytes or more"
EVERYTHING = Surface.of(
    {
        "name": "everything",
        "twiddlers": [
            *(one.model_dump() for one in BOOSTED.twiddlers if one.kind != "downrank"),
            {"kind": "downrank", "actions": {"purchase": {"places": 30}, "view": {"not_in_first": 25}}},
            {"kind": "scripted", "name": "cheap", "expression": "score / (1 + price)", "depth": 30},
            {"kind": "crowding", "crowds": [{"attribute": "brand_id", "most": 2, "first": 9}]},
            {"kind": "pins", "pins": [{"item": "p007", "slot": 3}, {"item": "p011", "slot": 28}]},
        ],
    }
)


@pytest.fixture(scope="module")
def shop(engine: Engine) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    alias = "t-kept"
    for state in engine.indices(f"{alias}-*"):
        engine.delete_index(state.name)
    yield alias, open_shop(engine, alias, n=N)
    for state in engine.indices(f"{alias}-*"):
        engine.delete_index(state.name)


@pytest.mark.parametrize("surface", [SURFACE, BOOSTED, EVERYTHING], ids=lambda surface: surface.name)
def test_page_after_page_is_the_same_with_and_without(engine: Engine, shop, surface: Surface) -> None:
    alias, documents = shop
    rng = random.Random(4)
    actions = bought(rng.sample(sorted(documents), 60))

    def told(page: Page) -> tuple[object, ...]:
        total = (page.total, page.response["aggregations"])
        return page.items, page.certificate, page.cursor is None, total, [hit.source for hit in page.hits]

    def ask(spy: Spy, size: int, cursor: str | None, actions: MemoryActionStore) -> Page:
        # what is counted and shown may be another thing on every page
        field = "brand_id" if size % 2 else "list"
        body = {"size": size, "aggs": {field: {"terms": {"field": field}}}, "_source": ["title", field]}
        return recommended(
            spy, alias, body, user="ann", at=NOON, now=NOON, surface=surface, actions=actions, cursor=cursor, key=KEY,
        )  # type: ignore[arg-type]  # fmt: skip

    here, there = Spy(engine), Spy(engine)
    ours = theirs = None
    shown: list[str] = []
    while True:
        size = rng.randint(5, 25)
        kept, fresh = ask(here, size, ours, actions), ask(there, size, theirs, actions)
        assert told(kept) == told(fresh)
        shown += kept.items
        ours, theirs = kept.cursor, fresh.cursor
        if ours is None or theirs is None:
            break
        assert kept_of(there).take(theirs) is not None  # type: ignore[arg-type]
    assert sorted(shown) == sorted(documents)
    assert _read(here) < 2 * N < 4 * N < _read(there)


def _read(spy: Spy) -> int:
    """Hits asked for by plans."""
    return sum(body["size"] for asked in spy.asked for body in asked[:1] if "docvalue_fields" in body)


def test_the_last_lists_are_kept_and_handed_out_once() -> None:
    def a_list() -> Kept:
        return Kept(Planner([]).begin(), [], ())

    lists, first = KeptLists(most=2), a_list()
    lists.put("a", first)
    lists.put("b", a_list())
    assert lists.take("a") is first
    assert lists.take("a") is None, "somebody goes on with it"
    lists.put("a", first)
    lists.put("c", a_list())
    assert lists.take("b") is None, "unused for longest"
    assert lists.take("a") is first


def test_what_is_added_behind_the_end_of_a_list_is_not_of_it() -> None:
    window = Window(take_apart({}, max_window=100))
    sort = field_sort("rank.B.all", "item_id")
    assert window.body(sort, [], size=10, whole=False, counted=True)["size"] == 10
    read = [{"sort": [0.5, "a"]}, {"sort": [0.25, "b"]}]
    assert window.take(read) == read
    assert window.ended
    assert window.body(sort, [], size=20, whole=False, counted=True)["search_after"] == [0.25, "b"]
    assert window.take([{"sort": ["-Infinity", "new"]}]) == []
    assert (window.ended, window.read) == (True, 2)
