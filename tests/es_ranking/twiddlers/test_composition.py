"""All twiddlers together, on random worlds: one sequence, nothing lost, limits kept or counted, one order of stages."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from es_ranking.twiddlers.contract import STAGES, Facts, Hit
from es_ranking.twiddlers.crowding import Crowd, CrowdingSettings
from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.pins import Pin, PinsSettings
from es_ranking.twiddlers.planner import Planner
from tests.contracts import pages
from tests.es_ranking.twiddlers.worlds import N, ids, read, walk, world


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_everything_a_list_promises_whatever_the_pages_and_whichever_twiddlers(seed: int) -> None:
    assert walk(seed)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 100_000), st.booleans())
def test_a_crowd_is_never_broken_unless_counted(seed: int, alone: bool) -> None:
    one = world(seed)
    plan = read(Planner([one.by_kind["crowding"]] if alone else list(one.by_kind.values())), one.hits, N)
    pages.crowds_kept_or_counted([entry.hit for entry in plan.order], one.crowd, plan.relaxed)
    assert (plan.certificate == "exact") == (plan.relaxed == 0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100_000), st.randoms())
def test_stages_run_in_their_order_whatever_the_order_given(seed: int, rng: random.Random) -> None:
    one = world(seed)
    given_order = list(one.by_kind.values())
    rng.shuffle(given_order)
    plan = read(Planner(given_order), one.hits, N)
    assert ids(plan) == ids(read(Planner(list(one.by_kind.values())), one.hits, N))
    for entry in plan.order:
        stages = [move.stage for move in entry.moves()]
        assert stages == sorted(stages, key=STAGES.index)
        moves = entry.moves()
        assert all(before.target == after.source for before, after in pairwise(moves))


def test_not_in_the_first_by_hand() -> None:
    hits = [Hit(name, 1.0 - n / 10) for n, name in enumerate("abcdef")]
    settings = DownrankSettings(actions={"view": Degree(not_in_first=3), "buy": Degree(threshold=2, not_in_first=5)})

    def order(counts: dict[str, dict[str, int]]) -> list[str]:
        return ids(read(Planner([settings.build(Facts(counts=counts))]), hits, 6))

    assert order({"a": {"view": 1}, "b": {"view": 9}}) == ["c", "d", "e", "a", "b", "f"]
    assert order({"a": {"view": 1, "buy": 2}, "b": {"buy": 1}}) == ["b", "c", "d", "e", "f", "a"]
    assert order({"f": {"view": 1}}) == list("abcdef"), "it stands further down already"
    assert order({name: {"view": 1} for name in "abcd"}) == ["e", "f", "a", "b", "c", "d"], "nobody else is left"


def test_crowding_by_hand() -> None:
    brands = ["acme"] * 4 + ["bolt", "core", "acme", "dune"]
    hits = [Hit(f"{n}", 1.0 - n / 10, {"brand": (brand,)}) for n, brand in enumerate(brands)]
    crowding = CrowdingSettings(crowds=(Crowd(attribute="brand", most=2, first=4),))
    plan = read(Planner([crowding.build(Facts())]), hits, 8)
    assert ids(plan) == ["0", "1", "4", "5", "2", "3", "6", "7"]
    assert plan.certificate == "exact"
    assert plan.order[4].moves()[0].reason == "kept apart by brand (at most 2 in the first 4)"
    # a pin takes one of the two
    pins = PinsSettings(pins=(Pin(item="6", slot=4),)).build(Facts(pinned={"6": hits[6]}))
    plan = read(Planner([pins, crowding.build(Facts())]), hits, 8)
    assert ids(plan) == ["0", "4", "5", "6", "1", "2", "3", "7"]
    assert plan.certificate == "exact"
    # three pins of one brand: one is too many, and counted
    many = PinsSettings(pins=tuple(Pin(item=str(n), slot=n + 1) for n in range(3)))
    pinned = many.build(Facts(pinned={str(n): hits[n] for n in range(3)}))
    plan = read(Planner([pinned, crowding.build(Facts())]), hits, 8)
    assert (ids(plan)[:4], plan.certificate) == (["0", "1", "2", "4"], "relaxed(1)")
