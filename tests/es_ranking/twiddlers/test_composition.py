"""All twiddlers together, on random worlds: one sequence, nothing lost, limits kept or counted, one order of stages."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from es_ranking.twiddlers.boosts import Boost, BoostsSettings
from es_ranking.twiddlers.contract import STAGES, Facts, Hit, Twiddler
from es_ranking.twiddlers.crowding import Crowd, CrowdingSettings
from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.interval import Gap, IntervalSettings
from es_ranking.twiddlers.pins import Pin, PinsSettings
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.scripted import ScriptedSettings
from tests.contracts.twiddler import random_hits
from tests.es_ranking.twiddlers.worlds import ids, read

N = 60


def world(seed: int) -> tuple[list[Hit], dict[str, Twiddler], dict[str, int], Crowd]:
    """Hits, one twiddler of each kind (but personal, which has tests of its own), the pins, the crowd."""
    rng = random.Random(seed)
    hits = random_hits(seed, N)
    counts = {hit.item_id: {rng.choice(["view", "buy", "hide"]): rng.randint(1, 3)} for hit in rng.sample(hits, 15)}
    pins = {hit.item_id: slot for hit, slot in zip(rng.sample(hits, 3), rng.sample(range(1, 30), 3), strict=True)}
    facts = Facts(counts, {hit.item_id: hit for hit in hits if hit.item_id in pins})
    crowd = Crowd(attribute="list", most=rng.randint(1, 3), first=rng.randint(2, 12), priority=rng.choice([0, 2]))
    kinds = [
        BoostsSettings(
            boosts=(Boost(items=(hits[40].item_id, hits[50].item_id), factor=3.0),
                    Boost(where={"brand": ("a", "b")}, factor=rng.choice([0.5, 1.7])))
        ),
        ScriptedSettings(name="x", expression="score / (1 + n_view)", depth=rng.randint(2, 50)),
        DownrankSettings(actions={
            "view": Degree(factor=0.7), "buy": Degree(not_in_first=rng.randint(1, 9)), "hide": Degree(places=4)}),
        PinsSettings(pins=tuple(Pin(item=item, slot=slot) for item, slot in pins.items())),
        IntervalSettings(gaps=(Gap(attribute="brand", gap=3),), look_ahead=rng.choice([5, 60])),
        CrowdingSettings(crowds=(crowd,), look_ahead=rng.choice([5, 60])),
    ]  # fmt: skip
    return hits, {one.kind: one.build(facts) for one in kinds}, pins, crowd


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 100_000), st.data())
def test_one_sequence_whatever_the_pages_and_whichever_twiddlers(seed: int, data: st.DataObject) -> None:
    hits, by_kind, pins, _ = world(seed)
    some = data.draw(st.lists(st.sampled_from(sorted(by_kind)), unique=True))
    planner = Planner([by_kind[kind] for kind in some])
    whole = ids(read(planner, hits, N + 1))
    assert sorted(whole) == sorted(hit.item_id for hit in hits), "nothing lost, nothing twice"
    shown: list[str] = []
    while len(shown) < N:
        size, window = data.draw(st.integers(1, 25)), data.draw(st.one_of(st.none(), st.integers(1, 40)))
        shown += ids(read(planner, hits, len(shown) + size, window=window))[len(shown) :]
    assert shown == whole
    if "pins" in some:
        assert all(whole[slot - 1] == item for item, slot in pins.items())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 100_000), st.booleans())
def test_a_crowd_is_never_broken_unless_counted(seed: int, alone: bool) -> None:
    hits, by_kind, _, crowd = world(seed)
    plan = read(Planner([by_kind["crowding"]] if alone else list(by_kind.values())), hits, N)
    top = Counter(value for entry in plan.order[: crowd.first] for value in entry.hit.attributes["list"])
    assert sum(max(0, count - crowd.most) for count in top.values()) <= plan.relaxed
    assert (plan.certificate == "exact") == (plan.relaxed == 0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100_000), st.randoms())
def test_stages_run_in_their_order_whatever_the_order_given(seed: int, rng: random.Random) -> None:
    hits, by_kind, _, _ = world(seed)
    given_order = list(by_kind.values())
    rng.shuffle(given_order)
    plan = read(Planner(given_order), hits, N)
    assert ids(plan) == ids(read(Planner(list(by_kind.values())), hits, N))
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
