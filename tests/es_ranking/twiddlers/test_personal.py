"""The re-sort moves only what it may: the top, by the formula, for whoever has clicked enough; pages are its slices."""

from __future__ import annotations

import math
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from es_ranking.schema import VECTOR
from es_ranking.tastes.contract import Taste
from es_ranking.tastes.vectors import pack, to_text
from es_ranking.twiddlers.contract import Facts, Hit, Twiddler
from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.interval import Gap, IntervalSettings
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.pins import Pin, PinsSettings
from es_ranking.twiddlers.planner import Planner
from tests.contracts.twiddler import random_hits

TASTE = Taste(40, np.array([60.0, -20.0], dtype=np.float32))


def hit(item: str, score: float | None, *vector: float) -> Hit:
    return Hit(item, score, {VECTOR: (to_text(pack(np.array(vector))),)} if vector else {})


def order(hits: list[Hit], twiddlers: list[Twiddler], wanted: int | None = None) -> list[str]:
    """As a caller of the planner gets it: the window grows until the places are known."""
    planner, n = Planner(twiddlers), len(hits) if wanted is None else wanted
    size = planner.window(n)
    while (plan := planner.plan(hits[:size], n, ended=size >= len(hits))).needs:
        size = plan.needs
    return [entry.hit.item_id for entry in plan.order]


def test_the_formula() -> None:
    settings = PersonalSettings(depth=10, strength=10.0, weight=0.5)
    # u = (60, −20) / 50: c gains 0.5 · 1.2 · 1, b loses 0.5 · 0.4 · 2, a says nothing
    hits = [hit("a", 0.5), hit("b", 0.45, 0.0, 2.0), hit("c", 0.3, 1.0, 0.0), hit("d", None, 9.0, 0.0)]
    planner = Planner([settings.build(Facts(taste=TASTE))])
    plan = planner.plan(hits, 4, ended=True)
    assert 0.3 * math.exp(0.6) > 0.5 > 0.45 * math.exp(-0.4)
    assert [entry.hit.item_id for entry in plan.order] == ["c", "a", "b", "d"]
    assert [entry.score for entry in plan.order] == [0.5, 0.45, 0.3, None], "the places keep their scores"
    first = plan.order[0].moves()[0]
    assert (first.stage, first.source, first.target) == ("personal", 3, 1)
    assert first.reason == "taste of 40 clicks: score x 1.82"


def test_below_the_threshold_the_order_is_the_segments() -> None:
    for seed in range(20):
        hits = random_hits(seed, 60)
        settings = PersonalSettings(least=TASTE.count + 1, depth=50)
        downrank = DownrankSettings(actions={"view": Degree(factor=0.5)}).build(Facts(counts={"i001": {"view": 2}}))
        assert order(hits, [settings.build(Facts(taste=TASTE)), downrank]) == order(hits, [downrank])
        assert order(hits, [settings.build(Facts())]) == [one.item_id for one in hits]
        assert Planner([settings.build(Facts())]).window(20) == 20, "and no more is read than without"


@given(seed=st.integers(0, 10_000), depth=st.integers(2, 80), size=st.integers(1, 70), data=st.data())
def test_any_page_is_a_slice_of_one_sequence(seed: int, depth: int, size: int, data: st.DataObject) -> None:
    hits = random_hits(seed, 60)
    rng = random.Random(seed)
    counts = {one.item_id: {"view": rng.randint(0, 2)} for one in hits if rng.random() < 0.3}
    pinned = {hits[5].item_id: hits[5]}
    facts = Facts(counts, pinned, TASTE)
    every = [
        PersonalSettings(depth=depth).build(facts),
        DownrankSettings(actions={"view": Degree(factor=0.4)}).build(facts),
        PinsSettings(pins=(Pin(item=hits[5].item_id, slot=3),)).build(facts),
        IntervalSettings(gaps=(Gap(attribute="brand", gap=3),), look_ahead=10).build(facts),
    ]
    some = data.draw(st.lists(st.sampled_from(every), unique=True))
    whole = order(hits, some)
    assert sorted(whole) == sorted(one.item_id for one in hits), "nothing is lost, nothing comes twice"
    assert order(hits, some, size) == whole[:size]


@given(seed=st.integers(0, 10_000), depth=st.integers(2, 80))
def test_only_the_ranked_top_moves(seed: int, depth: int) -> None:
    hits = random_hits(seed, 60)
    whole = order(hits, [PersonalSettings(depth=depth).build(Facts(taste=TASTE))])
    items = [one.item_id for one in hits]
    assert whole[depth:] == items[depth:]
    ranked = sum(one.score is not None for one in hits[:depth])
    assert whole[ranked:] == items[ranked:]
    assert sorted(whole[:ranked]) == sorted(items[:ranked])


def test_more_actions_never_move_an_item_up_after_a_resort() -> None:
    for seed in range(20):
        hits = random_hits(seed, 40)
        for item in ("i003", "i017"):
            places = []
            for views in range(4):
                facts = Facts({item: {"view": views}}, {}, TASTE)
                downrank = DownrankSettings(actions={"view": Degree(factor=0.6)}).build(facts)
                places.append(order(hits, [PersonalSettings(depth=30).build(facts), downrank]).index(item))
            assert places == sorted(places)
