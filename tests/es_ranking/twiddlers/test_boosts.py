"""Boosts: the order is that of the multiplied scores over the whole list, however little of it was read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from es_ranking.twiddlers.boosts import Boost, BoostsSettings, boosted_score
from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.selection import Selection
from tests.contracts.twiddler import random_hits
from tests.es_ranking.twiddlers.worlds import ids, read

FACTORS = st.sampled_from([0.1, 0.5, 1.0, 1.1, 1.5, 3.0, 40.0])
ITEMS = st.lists(st.integers(0, 59).map("i{:03}".format), min_size=1, max_size=5)
VALUES = st.lists(st.sampled_from("abcxy"), min_size=1, max_size=2)
WHERE = st.dictionaries(st.sampled_from(["brand", "list"]), VALUES, min_size=1)
RULE = st.one_of(st.builds(Boost, items=ITEMS, factor=FACTORS), st.builds(Boost, where=WHERE, factor=FACTORS))
RULES = st.lists(RULE, min_size=1, max_size=4)


def planner_of(rules: list[Boost]) -> Planner:
    return Planner([BoostsSettings(boosts=tuple(rules)).build(Facts())])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), RULES, st.integers(1, 60), st.integers(1, 70))
def test_any_page_from_any_window_is_that_of_the_multiplied_scores(
    seed: int, rules: list[Boost], wanted: int, window: int
) -> None:
    hits = random_hits(seed, 60)

    def key(hit: Hit) -> tuple[bool, float]:
        factor = next((rule.factor for rule in rules if rule.matches(hit)), 1.0)
        return (hit.score is None, -boosted_score(hit.score or 0.0, factor))

    # the sort is stable: ties keep the base order
    expected = [hit.item_id for hit in sorted(hits, key=key)][:wanted]
    assert ids(read(planner_of(rules), hits, wanted, window=window)) == expected


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), RULES)
def test_boosts_of_one_change_nothing(seed: int, rules: list[Boost]) -> None:
    hits = random_hits(seed, 60)
    ones = [rule.model_copy(update={"factor": 1.0}) for rule in rules]
    plan = read(planner_of(ones), hits, 60)
    assert ids(plan) == [hit.item_id for hit in hits]
    assert not any(entry.moves() for entry in plan.order)


def test_one_item_from_far_down_comes_first_and_says_why() -> None:
    hits = [Hit(f"i{n:03}", 1.0 - n / 1000, {"brand": ("acme" if n == 900 else "bolt",)}) for n in range(1000)]
    rules = [
        Boost(where={"brand": ("acme",)}, factor=20.0, campaign="acme days"),
        Boost(items=("i000",), factor=0.9991),
    ]
    plan = read(planner_of(rules), hits, 3)
    assert ids(plan) == ["i900", "i000", "i001"]
    assert [move.to_dict() for move in plan.order[0].moves()] == [
        {"item": "i900", "from": None, "to": 1, "stage": "boosts", "reason": "score x 20 by acme days"}
    ]


def test_the_first_rule_that_matches_counts_and_later_stages_see_its_score() -> None:
    hits = [Hit("a", 0.9), Hit("b", 0.5, {"brand": ("acme",)}), Hit("c", -0.1, {"brand": ("acme",)}), Hit("d", None)]
    rules = [Boost(items=("b", "c", "d"), factor=2.0), Boost(where={"brand": ("acme",)}, factor=100.0)]
    downrank = DownrankSettings(actions={"view": Degree(factor=0.85)}).build(Facts(counts={"b": {"view": 1}}))
    plan = read(planner_of(rules), hits, 4)
    assert [entry.score for entry in plan.order] == [1.0, 0.9, -0.1, None]
    plan = read(Planner([downrank, *planner_of(rules).twiddlers]), hits, 4)
    assert ids(plan) == ["a", "b", "c", "d"]
    assert [entry.score for entry in plan.order] == [0.9, 0.85, -0.1, None]


def test_values_are_compared_as_texts() -> None:
    hit = Hit("a", 1.0, {"brand": (544,), "fresh": (True,), "tags": ("x", "y")})
    assert Selection(where={"brand": (544,), "fresh": (True,)}).matches(hit)
    assert Selection(where={"brand": ("544",), "tags": ("y", "z")}).matches(hit)
    assert not Selection(where={"brand": (544,), "tags": ("z",)}).matches(hit)
    assert not Selection(where={"none": ("x",)}).matches(hit)
