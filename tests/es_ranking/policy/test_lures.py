"""Decisions about lures: one an item, for whom they hold, what changed."""

from __future__ import annotations

from typing import Any

import pytest

from es_ranking.policy.lures import LureDecision, LureDecisions, changes
from segments.errors import UsageError


def decided(*rows: dict[str, Any]) -> LureDecisions:
    return LureDecisions.of({"decisions": list(rows)})


def test_a_later_decision_takes_the_place_of_an_earlier_one() -> None:
    first = decided({"item": "a", "verdict": "deny"}, {"item": "b", "verdict": "allow"})
    second = first.decided(
        [LureDecision(item="b", verdict="deny", segments=("all",)), LureDecision(item="c", verdict="allow")]
    )
    assert [one.item for one in second.decisions] == ["b", "c", "a"]
    assert changes(first, second) == ["c: allow", "b: allow → deny for all"]
    third = second.without(["a", "b"])
    assert changes(second, third) == ["b: deny for all removed", "a: deny removed"]
    assert changes(third, third) == []


def test_only_what_holds_everywhere_is_a_label() -> None:
    one = decided(
        {"item": "a", "verdict": "deny"}, {"item": "b", "verdict": "allow"},
        {"item": "c", "verdict": "deny", "segments": ["young"]},
    )  # fmt: skip
    assert one.labels() == {"a": 1, "b": 0}
    young = one.by_item["c"]
    assert (young.holds_for("young"), young.holds_for("all"), one.by_item["a"].holds_for("all")) == (True, False, True)


@pytest.mark.parametrize(
    "rows",
    [
        [{"item": "a", "verdict": "deny"}, {"item": "a", "verdict": "allow"}],
        [{"item": "a", "verdict": "maybe"}],
        [{"item": "", "verdict": "deny"}],
        [{"item": "a", "verdict": "deny", "segment": "young"}],
    ],
)
def test_what_cannot_be_meant(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(UsageError):
        decided(*rows)
