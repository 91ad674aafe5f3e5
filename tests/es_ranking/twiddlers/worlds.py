"""Random worlds for planners, and a planner read as the query side reads it: a window, and a strand for each boost that
raises, growing together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from es_ranking.twiddlers.boosts import Boost, BoostsSettings
from es_ranking.twiddlers.contract import Facts, Hit, Strand, Twiddler
from es_ranking.twiddlers.crowding import Crowd, CrowdingSettings
from es_ranking.twiddlers.downrank import Degree, DownrankSettings, Penalty, penalties
from es_ranking.twiddlers.interval import Gap, IntervalSettings
from es_ranking.twiddlers.pins import Pin, PinsSettings
from es_ranking.twiddlers.planner import Plan, Planner
from es_ranking.twiddlers.scripted import ScriptedSettings
from tests.contracts import pages
from tests.contracts.twiddler import random_hits

N = 60


@dataclass(frozen=True)
class World:
    """Hits in base order, and one twiddler of each kind (but personal, which has tests of its own)."""

    hits: list[Hit]
    by_kind: dict[str, Twiddler]
    counts: dict[str, dict[str, int]]
    downrank: DownrankSettings
    pins: dict[str, int]
    gaps: tuple[Gap, ...]
    crowd: Crowd


def world(seed: int) -> World:
    """A world of its own for every seed."""
    rng = random.Random(seed)
    hits = random_hits(seed, N)
    counts = {hit.item_id: {rng.choice(["view", "buy", "hide"]): rng.randint(1, 3)} for hit in rng.sample(hits, 15)}
    pins = {hit.item_id: slot for hit, slot in zip(rng.sample(hits, 3), rng.sample(range(1, 30), 3), strict=True)}
    facts = Facts(counts, {hit.item_id: hit for hit in hits if hit.item_id in pins})
    crowd = Crowd(attribute="list", most=rng.randint(1, 3), first=rng.randint(2, 12), priority=rng.choice([0, 2]))
    gaps = (Gap(attribute="brand", gap=rng.randint(2, 5)), Gap(attribute="list", gap=rng.randint(1, 3), priority=3))
    degrees = {"view": Degree(factor=0.7), "buy": Degree(not_in_first=rng.randint(1, 9)), "hide": Degree(places=4)}
    downrank = DownrankSettings(actions=degrees)
    kinds = [
        BoostsSettings(
            boosts=(Boost(items=(hits[40].item_id, hits[50].item_id), factor=3.0),
                    Boost(where={"brand": ("a", "b")}, factor=rng.choice([0.5, 1.7])))
        ),
        ScriptedSettings(name="x", expression="score / (1 + n_view)", depth=rng.randint(2, 50)),
        downrank,
        PinsSettings(pins=tuple(Pin(item=item, slot=slot) for item, slot in pins.items())),
        IntervalSettings(gaps=gaps[: rng.randint(1, 2)], look_ahead=rng.choice([5, 60])),
        CrowdingSettings(crowds=(crowd,), look_ahead=rng.choice([5, 60])),
    ]  # fmt: skip
    return World(hits, {one.kind: one.build(facts) for one in kinds}, counts, downrank, pins, gaps, crowd)


def walk(seed: int) -> int:
    """Everything a list promises, on one world with some of its twiddlers, over pages of any sizes. How many pages."""
    rng, one = random.Random(seed), world(seed)
    some = rng.sample(sorted(one.by_kind), rng.randint(0, len(one.by_kind)))
    planner = Planner([one.by_kind[kind] for kind in some])
    whole = read(planner, one.hits, N + 1)
    items, order = ids(whole), [entry.hit for entry in whole.order]
    base = [hit.item_id for hit in one.hits]
    pages.nothing_lost_nothing_twice(items, base)
    assert (whole.certificate == "exact") == (whole.relaxed == 0)
    spacing = one.by_kind["interval"]
    if "interval" in some:
        gaps = [gap for gap in one.gaps if gap in spacing.limits]  # type: ignore[attr-defined]
        pages.gaps_kept_or_counted(order, gaps, one.pins if "pins" in some else (), whole.relaxed)
    if "crowding" in some:
        pages.crowds_kept_or_counted(order, one.crowd, whole.relaxed)
    if "pins" in some:
        pages.pins_at_their_slots(items, one.pins)

    def demoted(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
        return ids(read(Planner([one.downrank.build(Facts(counts))]), one.hits, N))

    before, by_item = demoted(one.counts), penalties(one.counts, one.downrank)
    pages.equals_in_base_order(before, base, lambda item: by_item.get(item, Penalty()))
    item, kind = rng.choice(base), rng.choice(sorted(one.downrank.actions))
    acted = one.counts.get(item, {})
    pages.never_raised(before, demoted({**one.counts, item: {**acted, kind: acted.get(kind, 0) + 1}}), item)

    reading = Pieces(planner, one.hits)

    def page(start: int, size: int) -> list[str]:
        nonlocal reading
        if rng.random() < 0.5:
            # on another front end: from the first hit on
            reading = Pieces(planner, one.hits)
        return ids(reading.plan(start, start + size, window=rng.choice([None, rng.randint(1, 40)])))

    return pages.slices_of_one_sequence(items, page, lambda: rng.randint(1, 25))


class Pieces:
    """A list that is read piece by piece, page after page, as a search does."""

    def __init__(self, planner: Planner, hits: Sequence[Hit]) -> None:
        self.planner, self.planning = planner, planner.begin()
        self.lists = [list(hits), *_strands(planner, hits)]
        self.size = 0

    def plan(self, start: int, wanted: int, *, window: int | None = None) -> Plan:
        """The places from `start` to `wanted`; a first window that is too short is followed by more."""
        size = window or self.planner.window(wanted)
        while True:
            before, self.size = self.size, max(size, self.size + 1)
            hits, *strands = (one[before : self.size] for one in self.lists)
            ends = [len(one) < self.size for one in self.lists]
            told = [Strand(strand, ended=ended) for strand, ended in zip(strands, ends[1:], strict=True)]
            self.planning.feed(hits, wanted, ended=ends[0], strands=told)
            plan = self.planning.plan(start, wanted)
            if not plan.needs:
                return plan
            assert plan.needs > self.size
            size = plan.needs


def read(planner: Planner, hits: Sequence[Hit], wanted: int, *, window: int | None = None) -> Plan:
    """Plans the first `wanted` places of a list, from a first window of any size."""
    size = window or planner.window(wanted)
    while True:
        strands = [Strand(own[:size], ended=len(own) < size) for own in _strands(planner, hits)]
        plan = planner.plan(hits[:size], wanted, ended=len(hits) < size, strands=strands)
        if not plan.needs:
            return plan
        assert plan.needs > size
        size = plan.needs


def _strands(planner: Planner, hits: Sequence[Hit]) -> list[list[Hit]]:
    rules = planner.boosts.boosts if planner.boosts else ()
    first = [next((n for n, rule in enumerate(rules) if rule.matches(hit)), None) for hit in hits]
    return [
        [hit for hit, its in zip(hits, first, strict=True) if its == number]
        for number, rule in enumerate(rules)
        if rule.factor > 1.0
    ]


def ids(plan: Plan) -> list[str]:
    """Item ids, in order."""
    return [entry.hit.item_id for entry in plan.order]
