"""The document: strict, in local time, and what its campaigns come to together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from es_ranking.policy.changes import changes
from es_ranking.policy.document import Policy, read_policy
from es_ranking.policy.effective import Place, effective, required_values
from es_ranking.twiddlers.boosts import MOST_RAISING
from es_ranking.twiddlers.contract import Hit
from es_ranking.twiddlers.registry import TwiddlerSettings
from es_ranking.twiddlers.settings import Surface
from segments.errors import UsageError

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
SOUP = {"bool": {"filter": [{"term": {"list": "SOUP"}}]}}


def policy(*campaigns: dict[str, Any]) -> Policy:
    return Policy.of({"campaigns": [{"name": f"c{n}", **one} for n, one in enumerate(campaigns)]})


def place(**changed: Any) -> Place:
    return Place(**{"at": NOON, "surface": "category", "variant": "B", "segment": "all", "query": SOUP, **changed})


def test_a_file_as_a_merchandiser_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        """
campaigns:
  - name: house rules
    exclusions: [{items: ["${HOME}"]}, {where: {brand_id: [acme, 7]}}]
  - name: soup week
    starts: 2026-11-23
    ends: 2026-11-30T08:00
    zone: Europe/Berlin
    priority: 10
    surfaces: [category]
    lists: {list: [SOUP]}
    pins: [{item: "1029743", slot: 2}]
    boosts: [{where: {fresh: [true]}, factor: 1.5}]
    buries: [{items: ["5"], factor: 0.5}]
    expressions: [{name: fresh first, expression: "score * (1 + fresh)"}]
""",
        encoding="utf-8",
    )
    read = read_policy(file)
    assert read.campaigns[1].starts == datetime(2026, 11, 23)
    assert read.campaigns[0].exclusions[0].items == ("${HOME}",), "nothing of the environment gets into a policy"
    assert Policy.of(read.model_dump(mode="json", exclude_defaults=True)) == read, "it is stored as it was read"


@pytest.mark.parametrize(
    ("campaign", "message"),
    [
        ({"pinns": []}, "campaigns.0.pinns: Extra inputs"),
        ({"zone": "Europe/Berlinn"}, "unknown time zone"),
        ({"zone": "../etc/passwd"}, "unknown time zone"),
        ({"starts": "2026-11-23T00:00:00+01:00"}, "starts has an offset"),
        ({"starts": "2026-11-23", "ends": "2026-11-23"}, "ends is not after starts"),
        ({"starts": "soon"}, "campaigns.0.starts"),
        ({"boosts": [{"items": ["a"], "factor": 0.5}]}, "greater than or equal to 1"),
        ({"buries": [{"items": ["a"], "factor": 2}]}, "less than or equal to 1"),
        ({"boosts": [{"factor": 2}]}, "give items"),
        ({"exclusions": [{"where": {"brand": []}}]}, "give items"),
        ({"exclusions": [{"where": {"brand": [1.5]}}]}, "valid boolean|valid string"),
        ({"pins": [{"item": "a", "slot": 0}]}, "greater than or equal to 1"),
        ({"pins": [{"item": "a", "slot": 1}, {"item": "b", "slot": 1}]}, "slot pinned twice: 1"),
        ({"pins": [{"item": 7, "slot": 1}]}, "valid string"),
        ({"expressions": [{"name": "x", "expression": "__import__('os')"}]}, "can be called"),
        ({"priority": "high"}, "valid integer"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(campaign: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        policy(campaign)
    assert "\n" not in refused.value.what
    with pytest.raises(UsageError, match="have one name: soup"):
        policy({"name": "soup"}, {"name": "soup"})


@pytest.mark.parametrize(
    ("campaign", "holds"),
    [
        ({}, True),
        ({"starts": "2026-11-27T13:00", "zone": "Europe/Berlin"}, True),
        ({"starts": "2026-11-27T13:01", "zone": "Europe/Berlin"}, False),
        ({"ends": "2026-11-27T13:00", "zone": "Europe/Berlin"}, False),
        ({"ends": "2026-11-27T13:01", "zone": "Europe/Berlin"}, True),
        ({"starts": "2026-11-27T21:00", "zone": "Asia/Tokyo"}, True),
        ({"surfaces": ["category", "search"]}, True),
        ({"surfaces": ["search"]}, False),
        ({"variants": ["B1"]}, False),
        ({"segments": ["all"], "variants": ["B"]}, True),
        ({"lists": {"list": ["SOUP", "TEA"]}}, True),
        ({"lists": {"list": ["TEA"]}}, False),
        ({"lists": {"brand": ["SOUP"]}}, False),
    ],
)
def test_where_and_when_it_holds(campaign: dict[str, Any], holds: bool) -> None:
    assert bool(effective(policy(campaign), place()).campaigns) is holds


def test_a_campaign_begins_by_the_clock_of_its_zone_also_in_summer() -> None:
    one = policy({"starts": "2026-03-29T02:30", "ends": "2026-10-25T02:30", "zone": "Europe/Berlin"}).campaigns[0]
    # on the night when 02:30 does not exist, and on the one when it comes twice: the first time counts
    for moment, holds in (("2026-03-29T01:29", False), ("2026-03-29T01:31", True), ("2026-10-25T00:29", True),
                          ("2026-10-25T00:31", False)):  # fmt: skip
        assert one.holds_at(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is holds, moment
    assert one.holds_at(NOON.replace(month=7).astimezone(UTC) + timedelta(0))


@pytest.mark.parametrize(
    ("query", "required"),
    [
        ({"term": {"list": {"value": "SOUP", "boost": 2}}}, {"list": [{"SOUP"}]}),
        ({"terms": {"list": ["SOUP", 7, True], "boost": 1.0}}, {"list": [{"SOUP", "7", "true"}]}),
        ({"bool": {"must": {"term": {"a": 1}}, "filter": [{"term": {"a": 2}}]}}, {"a": [{"2"}, {"1"}]}),
        ({"constant_score": {"filter": {"term": {"a": "x"}}}}, {"a": [{"x"}]}),
        ({"bool": {"should": [{"term": {"a": 1}}], "must_not": [{"term": {"b": 1}}]}}, {}),
        ({"terms": {"list": {"index": "i", "id": "1", "path": "p"}}}, {}),
        ({"term": "nonsense", "bool": 7}, {}),
    ],
)
def test_what_a_query_is_about(query: dict[str, Any], required: dict[str, Any]) -> None:
    assert required_values(query) == required


def test_overlapping_campaigns_the_priority_decides() -> None:
    both = policy(
        {"pins": [{"item": "a", "slot": 1}, {"item": "b", "slot": 2}], "boosts": [{"items": ["x"], "factor": 2}],
         "expressions": [{"name": "low", "expression": "1"}]},
        {"priority": 5, "pins": [{"item": "c", "slot": 1}, {"item": "b", "slot": 7}],
         "buries": [{"items": ["x"], "factor": 0.5}], "expressions": [{"name": "high", "expression": "2"}],
         "exclusions": [{"items": ["c"]}]},
    )  # fmt: skip
    found = effective(both, place())
    assert found.campaigns == ("c1", "c0")
    assert [(pin.item, pin.slot, pin.campaign) for pin in found.pins] == [("c", 1, "c1"), ("b", 7, "c1")]
    assert [(boost.factor, boost.campaign) for boost in found.boosts] == [(0.5, "c1"), (2.0, "c0")]
    assert found.expression is not None
    assert found.expression.name == "high"
    assert found.exclusions[0].matches(Hit("c", 1.0))
    assert found.overruled == (
        "c0: pin of a at 1: another campaign's comes first",
        "c0: pin of b at 2: another campaign's comes first",
        "c0: expression low: another campaign's comes first",
    )


def test_boosts_of_one_are_nothing_and_no_more_raise_than_a_plan_can_read() -> None:
    assert effective(policy({"boosts": [{"items": ["x"], "factor": 1}]}), place()).boosts == ()
    many = policy({"boosts": [{"items": [f"{n}"], "factor": 2} for n in range(MOST_RAISING + 2)],
                   "buries": [{"items": ["b"], "factor": 0.5}]})  # fmt: skip
    found = effective(many, place())
    assert len(found.boosts) == MOST_RAISING + 1
    assert len(found.overruled) == 2


def test_what_the_surface_configures_comes_after_the_campaigns() -> None:
    surface = Surface.of(
        {"name": "s", "twiddlers": [
            {"kind": "pins", "pins": [{"item": "a", "slot": 1}, {"item": "z", "slot": 3}]},
            {"kind": "boosts", "boosts": [{"items": ["x"], "factor": 3}]},
            {"kind": "interval", "gaps": [{"attribute": "brand", "gap": 2}]}]}
    )  # fmt: skip
    found = effective(
        policy({"pins": [{"item": "b", "slot": 1}], "boosts": [{"items": ["x"], "factor": 2}]}), place()
    ).joined(surface.twiddlers)
    by_kind: dict[str, TwiddlerSettings] = {one.kind: one for one in found}
    assert [(pin["item"], pin["slot"]) for pin in by_kind["pins"].model_dump()["pins"]] == [("b", 1), ("z", 3)]
    assert [boost["factor"] for boost in by_kind["boosts"].model_dump()["boosts"]] == [2.0, 3.0]
    assert by_kind["interval"] == surface.twiddlers[2]
    assert effective(policy(), place()).joined(surface.twiddlers) == surface.twiddlers


def test_parameters_belong_to_the_variant() -> None:
    surface = Surface.of(
        {"name": "s",
         "twiddlers": [{"kind": "downrank", "actions": {"view": {"factor": 0.5}}}],
         "variants": {"B1": [{"kind": "downrank", "actions": {"view": {"not_in_first": 4}}},
                             {"kind": "crowding", "crowds": [{"attribute": "brand", "most": 2, "first": 10}]}]}}
    )  # fmt: skip
    assert surface.twiddlers_of("B") == surface.twiddlers
    assert [one.kind for one in surface.twiddlers_of("B1")] == ["downrank", "crowding"]
    assert surface.twiddlers_of("B1")[0] == surface.variants["B1"][0]


def test_changes_are_told_line_by_line() -> None:
    before = policy({"pins": [{"item": "a", "slot": 1}], "priority": 1}, {"exclusions": [{"items": ["x"]}]})
    after = policy({"pins": [{"item": "a", "slot": 2}], "boosts": [{"where": {"brand": ["q"]}, "factor": 2}]},
                   {"name": "new", "ends": "2026-11-30"})  # fmt: skip
    assert changes(before, after) == [
        "c1: removed",
        "c0: priority: 1 removed",
        "c0: pin of a: slot 1 → slot 2",
        "c0: boosts where=brand=q: factor=2.0",
        "new: added",
        "new: ends: 2026-11-30T00:00:00",
    ]
    assert changes(before, before) == []
    swapped = Policy(campaigns=tuple(reversed(before.campaigns)))
    assert changes(before, swapped) == ["campaigns stand in another order"]
