"""Versions in a real engine, and what searches see of them on good days and bad ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.policy.document import Policy
from es_ranking.policy.fit import check_fields, unknown_items
from es_ranking.policy.live import GivenPolicy, LivePolicies
from es_ranking.policy.store import PolicyStore
from segments.errors import ContractBroken, EngineUnreachable, Refused, UsageError

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def pinning(item: str) -> Policy:
    return Policy.of({"campaigns": [{"name": "front", "pins": [{"item": item, "slot": 1}]}]})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Flaky:
    """An engine that may be cut off, and counts what it is asked."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.down, self.asked = engine, False, 0

    def search(self, index: str, body: Any, **options: Any) -> dict[str, Any]:
        self.asked += 1
        assert options == {"timeout_seconds": 0.5}, "a search never waits long for its policy"
        if self.down:
            raise EngineUnreachable("cut off")
        return self.engine.search(index, body)


def test_every_version_is_kept_and_says_who_when_and_what(engine: Engine, index_name: str) -> None:
    store = PolicyStore(engine, index_name)
    assert store.versions() == []
    first = store.next(pinning("a"), by="ann", at=NOON, note="opening")
    assert store.versions() == [], "a dry run stores nothing"
    store.put(first)
    with pytest.raises(Refused, match="nothing would change: version 1"):
        store.next(pinning("a"), by="bob", at=NOON)
    store.put(store.next(pinning("b"), by="bob", at=NOON))
    store.put(store.next(store.version(1).read(), by="ann", at=NOON, note="back to version 1"))
    told = [(one.version, one.by, one.note, one.changes) for one in store.versions()]
    assert told == [
        (3, "ann", "back to version 1", ["front: pin of b: slot 1 removed", "front: pin of a: slot 1"]),
        (2, "bob", "", ["front: pin of a: slot 1 removed", "front: pin of b: slot 1"]),
        (1, "ann", "opening", ["front: added", "front: pin of a: slot 1"]),
    ]
    assert store.versions()[0].at == "2026-11-27T12:00:00+00:00"
    assert store.version(2).read() == pinning("b")
    with pytest.raises(UsageError, match="no version 9"):
        store.version(9)
    with pytest.raises(UsageError, match="who puts"):
        store.next(pinning("c"), by=" ", at=NOON)


def test_of_two_at_the_same_moment_the_second_is_refused(engine: Engine, index_name: str) -> None:
    store = PolicyStore(engine, index_name)
    for ours, theirs in (("a", "b"), ("c", "d")):
        planned = [store.next(pinning(item), by=item, at=NOON) for item in (ours, theirs)]
        store.put(planned[0])
        with pytest.raises(Refused, match="meanwhile"):
            store.put(planned[1])
        assert store.versions()[0].by == ours


def test_a_new_version_is_in_force_within_seconds_and_costs_one_look(engine: Engine, index_name: str) -> None:
    store, clock, flaky = PolicyStore(engine, index_name), Clock(), Flaky(engine)
    live = LivePolicies(flaky, clock=clock)  # type: ignore[arg-type]
    assert live.current(index_name) == GivenPolicy(Policy()).current(index_name), "none was ever put: nothing to flag"
    store.put(store.next(pinning("a"), by="ann", at=NOON))
    assert live.current(index_name).version == 0
    clock.now = 2.1
    held = live.current(index_name)
    assert (held.version, held.document, held.flag) == (1, pinning("a"), "")
    asked = flaky.asked
    assert all(live.current(index_name) is held for _ in range(100))
    assert flaky.asked == asked
    store.put(store.next(pinning("b"), by="ann", at=NOON))
    clock.now = 4.2
    assert live.current(index_name).document == pinning("b")
    assert live.version(index_name, 1) == held, "later pages keep to the version of the first one"
    assert LivePolicies(engine, timeout_seconds=None).version(index_name, 1) == held, "on every front end"


def test_no_engine_or_a_broken_document_leaves_the_last_good_one(engine: Engine, index_name: str) -> None:
    store, clock, flaky = PolicyStore(engine, index_name), Clock(), Flaky(engine)
    store.put(store.next(pinning("a"), by="ann", at=NOON))
    live = LivePolicies(flaky, clock=clock)  # type: ignore[arg-type]
    flaky.down = True
    assert (live.current(index_name).version, live.current(index_name).flag) == (0, "policy_unavailable")
    assert flaky.asked == 1, "a failure is remembered too"
    assert live.version(index_name, 1).flag == "policy_unavailable"
    flaky.down, clock.now = False, 3.0
    assert (live.current(index_name).version, live.current(index_name).flag) == (1, "")
    flaky.down, clock.now = True, 6.0
    held = live.current(index_name)
    assert (held.version, held.document, held.flag) == (1, pinning("a"), "policy_stale")
    flaky.down, clock.now = False, 9.0
    broken = [
        {
            "version": 2,
            "at": NOON.isoformat(),
            "by": "hand",
            "note": "",
            "changes": [],
            "policy": {"campaigns": [{"nome": "a"}]},
        },
        {"version": 3, "policy": "nothing of ours"},
        {"version": 4},
    ]
    actions = [BulkAction(store.index, str(one["version"]), one) for one in broken]
    assert not engine.bulk(actions, refresh=True).errors
    held = live.current(index_name)
    assert (held.version, held.document, held.flag) == (1, pinning("a"), "policy_broken")
    assert LivePolicies(engine, timeout_seconds=None).current(index_name) == held, (
        "also for a process that never saw the good one in force"
    )
    with pytest.raises(ContractBroken, match=r"version 2 of the policy is broken.*nome"):
        store.version(2).read()
    # a broken one is no reason not to put a good one
    store.put(store.next(pinning("b"), by="ann", at=NOON))
    clock.now = 12.0
    assert (live.current(index_name).version, live.current(index_name).flag) == (5, "")
    engine.delete_index(store.index)
    clock.now = 15.0
    assert (live.current(index_name).version, live.current(index_name).flag) == (5, "policy_stale")


def test_a_policy_must_fit_its_index(engine: Engine, index_name: str) -> None:
    properties = {
        "brand_id": {"type": "keyword"}, "price": {"type": "double"}, "fresh": {"type": "boolean"},
        "title": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "shop": {"properties": {"size": {"type": "integer"}}}, "code": {"type": "keyword", "doc_values": False},
    }  # fmt: skip
    engine.create_index(index_name, {"mappings": {"properties": properties}})
    engine.bulk([BulkAction(index_name, "a", {"brand_id": "x"})])

    def fits(campaign: dict[str, Any]) -> None:
        check_fields(engine, index_name, Policy.of({"campaigns": [{"name": "one", **campaign}]}))

    where = {"brand_id": ["x"], "fresh": [True], "shop.size": [3], "title.keyword": ["Soup"]}
    fits({"boosts": [{"where": where, "factor": 2}], "lists": {"brand_id": ["x"]},
          "expressions": [{"name": "e", "expression": "score * fresh / price + n_view - place"}]})  # fmt: skip
    for campaign, message in (
        ({"boosts": [{"where": {"brand": ["x"]}, "factor": 2}]}, "unknown field 'brand'.*known: brand_id"),
        ({"exclusions": [{"where": {"title": ["x"]}}]}, "'title' is a text and cannot be compared"),
        ({"buries": [{"where": {"price": [3]}, "factor": 0.5}]}, "'price' is a double and cannot be compared"),
        ({"lists": {"code": ["x"]}}, "unknown field 'code'"),
        ({"expressions": [{"name": "e", "expression": "brand_id"}]}, "is a keyword and cannot be computed with"),
        ({"expressions": [{"name": "e", "expression": "prise * 2"}]}, "unknown field 'prise'.*known: price"),
    ):
        with pytest.raises(UsageError, match=message):
            fits(campaign)
    named = Policy.of({"campaigns": [{"name": "one", "pins": [{"item": "a", "slot": 1}, {"item": "z", "slot": 2}],
                                      "exclusions": [{"items": ["b"]}]}]})  # fmt: skip
    assert unknown_items(engine, index_name, named) == ["b", "z"]
    assert unknown_items(engine, index_name, Policy()) == []
