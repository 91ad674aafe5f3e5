"""A planner read as the query side reads it: a window, and a strand for each boost that raises, growing together."""

from __future__ import annotations

from collections.abc import Sequence

from es_ranking.twiddlers.contract import Hit, Strand
from es_ranking.twiddlers.planner import Plan, Planner


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
