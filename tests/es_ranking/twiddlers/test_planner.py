"""What the planner promises, on random worlds: any window and any page size give one sequence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_ranking.twiddlers.contract import Facts, Hit, Twiddler
from es_ranking.twiddlers.downrank import Degree, Downrank, DownrankSettings, Penalty, demoted_score, penalties
from es_ranking.twiddlers.interval import Gap
from es_ranking.twiddlers.pins import Pin, Pins, PinsSettings
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.spacing import Spacing
from segments.errors import ContractBroken
from tests.contracts import pages
from tests.es_ranking.twiddlers.worlds import ids, read

BRANDS = ["acme", "bolt", "core", "dune"]
LISTS = ["x", "y"]
DEGREES = {
    "view": Degree(threshold=2, places=3),
    "purchase": Degree(threshold=1, factor=0.5),
    "click": Degree(threshold=2, factor=0.8),
}

hits_of = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.25, 0.4, 0.5, 0.8])),
        st.lists(st.sampled_from(BRANDS), max_size=2, unique=True),
        st.lists(st.sampled_from(LISTS), max_size=1),
    ),
    max_size=40,
)
gaps_of = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=2, max_size=2).map(
    lambda g: [
        Gap(attribute="brand", gap=g[0][0], priority=g[0][1]),
        Gap(attribute="list", gap=g[1][0], priority=g[1][1]),
    ]
)
counts_of = st.dictionaries(
    st.integers(0, 39).map(lambda n: f"i{n:02}"),
    st.dictionaries(st.sampled_from(sorted(DEGREES)), st.integers(0, 4)),
    max_size=12,
)
pins_of = st.dictionaries(st.integers(0, 39).map(lambda n: f"i{n:02}"), st.integers(1, 45), max_size=4).filter(
    lambda pins: len(set(pins.values())) == len(pins)
)


def catalogue(rows: list[tuple[float | None, list[str], list[str]]]) -> list[Hit]:
    hits = [
        Hit(f"i{n:02}", score, {"brand": tuple(brands), "list": tuple(lists)})
        for n, (score, brands, lists) in enumerate(rows)
    ]
    return sorted(hits, key=lambda h: (h.score is None, -(h.score or 0.0), h.item_id))


def twiddlers(
    hits: list[Hit], gaps: list[Gap], counts: dict[str, dict[str, int]], pins: dict[str, int], look_ahead: int
) -> list[Twiddler]:
    by_id = {hit.item_id: hit for hit in hits}
    pin_settings = PinsSettings(pins=tuple(Pin(item=item, slot=slot) for item, slot in pins.items()))
    matching = {item: by_id[item] for item in pins if item in by_id}
    return [
        Spacing(gaps, look_ahead=look_ahead),
        pin_settings.build(Facts(pinned=matching)),
        DownrankSettings(actions=DEGREES).build(Facts(counts=counts)),
    ]


@settings(max_examples=200, deadline=None)
@given(hits_of, gaps_of, counts_of, pins_of, st.integers(1, 8), st.data())
def test_one_sequence_whatever_the_pages(rows, gaps, counts, pins, look_ahead, data) -> None:
    hits = catalogue(rows)
    planner = Planner(twiddlers(hits, gaps, counts, pins, look_ahead))
    whole = ids(planner.plan(hits, len(hits) + 1, ended=True))
    pages.nothing_lost_nothing_twice(whole, [hit.item_id for hit in hits])

    def page(start: int, size: int) -> list[str]:
        window = data.draw(st.one_of(st.none(), st.integers(1, 60)))
        return ids(read(planner, hits, start + size, window=window))[start:]

    pages.slices_of_one_sequence(whole, page, lambda: data.draw(st.integers(1, 9)))


@settings(max_examples=200, deadline=None)
@given(hits_of, gaps_of, counts_of, pins_of, st.integers(1, 8))
def test_a_gap_is_kept_or_counted(rows, gaps, counts, pins, look_ahead) -> None:
    hits = catalogue(rows)
    whole = Planner(twiddlers(hits, gaps, counts, pins, look_ahead)).plan(hits, 100, ended=True)
    pages.gaps_kept_or_counted([entry.hit for entry in whole.order], gaps, pins, whole.relaxed)
    assert (whole.certificate == "exact") == (whole.relaxed == 0)


@settings(max_examples=100, deadline=None)
@given(hits_of, pins_of, gaps_of)
def test_pins_stand_at_their_slots(rows, pins, gaps) -> None:
    hits = catalogue(rows)
    order = ids(Planner(twiddlers(hits, gaps, {}, pins, 4)).plan(hits, 100, ended=True))
    pages.pins_at_their_slots(order, pins)


@settings(max_examples=200, deadline=None)
@given(hits_of, counts_of, st.integers(0, 39), st.sampled_from(sorted(DEGREES)))
def test_more_actions_never_raise_an_item(rows, counts, n, kind) -> None:
    hits, item = catalogue(rows), f"i{n:02}"
    more = {**counts, item: {**counts.get(item, {}), kind: counts.get(item, {}).get(kind, 0) + 1}}

    def order(given_counts: dict[str, dict[str, int]]) -> list[str]:
        downrank = DownrankSettings(actions=DEGREES).build(Facts(counts=given_counts))
        return ids(Planner([downrank]).plan(hits, 100, ended=True))

    pages.never_raised(order(counts), order(more), item)


@settings(max_examples=100, deadline=None)
@given(hits_of, counts_of)
def test_equals_keep_the_rankers_order_and_two_streams_agree(rows, counts) -> None:
    hits = catalogue(rows)
    factors = {k: d for k, d in DEGREES.items() if d.factor}
    spec = DownrankSettings(actions=factors)
    by_item = penalties(counts, spec)
    order = ids(Planner([spec.build(Facts(counts=counts))]).plan(hits, 100, ended=True))
    pages.equals_in_base_order(order, [hit.item_id for hit in hits], lambda item: by_item.get(item, Penalty()).factor)

    def key(hit: Hit) -> tuple[bool, float, str]:
        score = hit.score
        if score is not None and hit.item_id in by_item:
            score = demoted_score(score, by_item[hit.item_id].factor)
        return (score is None, -(score or 0.0), hit.item_id)

    seen = sorted((hit for hit in hits if hit.item_id in counts), key=key)
    unseen = [hit for hit in hits if hit.item_id not in counts]
    assert order == [hit.item_id for hit in sorted(seen + unseen, key=key)]


@settings(max_examples=200, deadline=None)
@given(hits_of, gaps_of, st.integers(1, 10), st.integers(1, 40))
def test_interval_is_the_greedy_of_the_definition(rows, gaps, look_ahead, wanted) -> None:
    """Against the definition written out: look at the first L, drop the least important attribute, and so on."""
    hits = catalogue(rows)
    important = sorted(gaps, key=lambda gap: -gap.priority)
    left, order, relaxed = list(hits), [], 0
    while left and len(order) < wanted:
        for dropped in range(len(important) + 1):
            kept = important[: len(important) - dropped]
            fitting = [
                hit
                for hit in left[:look_ahead]
                if not any(
                    set(hit.attributes[gap.attribute]) & set(order[p].attributes[gap.attribute])
                    for gap in kept
                    for p in range(max(0, len(order) - gap.gap + 1), len(order))
                )
            ]
            if fitting:
                break
        order.append(fitting[0])
        left.remove(fitting[0])
        relaxed += dropped
    plan = read(Planner([Spacing(gaps, look_ahead=look_ahead)]), hits, wanted)
    assert ids(plan) == [hit.item_id for hit in order]
    assert plan.relaxed == relaxed
    if not relaxed:
        unbounded = read(Planner([Spacing(gaps, look_ahead=1000)]), hits, wanted)
        assert ids(unbounded) == ids(plan), "the certificate `exact` means: the greedy over all hits"


def test_places_definition_by_hand() -> None:
    hits = [Hit(name, 1.0 - n / 10) for n, name in enumerate("abcdef")]
    spec = DownrankSettings(actions={"view": Degree(threshold=1, places=2)})
    order = ids(Planner([spec.build(Facts(counts={"a": {"view": 1}, "c": {"view": 2}}))]).plan(hits, 6, ended=True))
    # a goes to 0 + 2, a place that c left for 2 + 4; b, d, e, f keep 1, 3, 4, 5
    assert order == ["b", "a", "d", "e", "f", "c"]
    order = ids(Planner([spec.build(Facts(counts={"a": {"view": 1}}))]).plan(hits, 6, ended=True))
    assert order == ["b", "c", "a", "d", "e", "f"], "a ties with c at 2: undemoted first"


def test_excluded_items_leave_and_the_page_stays_full() -> None:
    hits = [Hit(f"i{n:02}", 1.0 - n / 100) for n in range(30)]
    spec = DownrankSettings(actions={"hide": Degree(exclude=True)})
    planner = Planner([spec.build(Facts(counts={f"i{n:02}": {"hide": 1} for n in range(8)}))])
    assert ids(read(planner, hits, 5, window=5)) == ["i08", "i09", "i10", "i11", "i12"]


def test_a_list_whose_top_was_seen_is_read_once() -> None:
    hits = [Hit(f"i{n:03}", 1.0 - n / 1000) for n in range(200)]
    seen = {hit.item_id: {"view": 1} for hit in hits[:80:8]}
    downrank = DownrankSettings(actions={"view": Degree(factor=0.5)}).build(Facts(seen))
    planner = Planner([downrank])
    assert (planner.window(40), planner.window(400)) == (50, 410), "a quarter more, never more than are demoted"
    assert planner.plan(hits[:50], 40, ended=False).needs == 0
    assert Planner([downrank, Spacing([Gap(attribute="brand", gap=3)], look_ahead=60)]).window(40) == 60


def test_every_move_names_its_stage_and_reason() -> None:
    hits = [
        Hit("a", 0.9, {"brand": ("acme",)}),
        Hit("b", 0.8, {"brand": ("acme",)}),
        Hit("c", 0.7, {"brand": ("bolt",)}),
        Hit("d", 0.6, {"brand": ("core",)}),
    ]
    planner = Planner(
        [
            Spacing([Gap(attribute="brand", gap=2)], look_ahead=10),
            Downrank(penalties({"a": {"purchase": 1}}, DownrankSettings(actions=DEGREES))),
            Pins(PinsSettings(pins=(Pin(item="d", slot=1),)), {"d": hits[3]}),
        ]
    )
    plan = planner.plan(hits, 4, ended=True)
    assert ids(plan) == ["d", "b", "c", "a"]
    assert [move.to_dict() for move in plan.order[3].moves()] == [
        {"item": "a", "from": 1, "to": 4, "stage": "downrank", "reason": "purchase x1: score x 0.5"}
    ]
    assert [(move.stage, move.source, move.target, move.reason) for move in plan.order[0].moves()][-1] == (
        "pins", 3, 1, "pinned at 1",
    )  # fmt: skip
    assert plan.certificate == "exact"


def test_hits_out_of_order_or_twice_are_refused() -> None:
    with pytest.raises(ContractBroken, match="base order"):
        Planner([]).plan([Hit("a", 0.1), Hit("b", 0.2)], 2, ended=True)
    with pytest.raises(ContractBroken, match="base order"):
        Planner([]).plan([Hit("a", 0.1), Hit("a", 0.1)], 2, ended=True)


def test_deep_page_of_one_brand_is_relaxed_and_counted() -> None:
    hits = [Hit(f"i{n:03}", 1.0 - n / 1000, {"brand": ("acme",)}) for n in range(300)]
    plan = read(Planner([Spacing([Gap(attribute="brand", gap=4)], look_ahead=50)]), hits, 200)
    assert ids(plan) == [hit.item_id for hit in hits[:200]], "the ranker's order is all that is left"
    assert plan.certificate == "relaxed(199)"
