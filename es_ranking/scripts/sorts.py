"""Sort clauses that call the stored scripts, and the Python twin of the interval script.

Scripts take parameters, never text from a request: one compiled script serves every user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from es_ranking.scripts.store import BOOSTS, DOWNRANK, INTERVAL
from es_ranking.twiddlers.boosts import Boost

Sort = list[dict[str, Any]]


def field_sort(field: str, item_field: str) -> Sort:
    """By a rank field: descending, unranked last, ties by item id.

    >>> field_sort("rank.B.all", "item_id")[1]
    {'item_id': {'order': 'asc'}}
    """
    return [
        {field: {"order": "desc", "missing": "_last", "unmapped_type": "double"}},
        {item_field: {"order": "asc"}},
    ]


def boosts_sort(field: str, item_field: str, boosts: Sequence[Boost]) -> Sort:
    """By rank times the factor of the first boost that matches: exact inside the engine, for every hit."""
    rules = [boost.params | {"factor": boost.factor} for boost in boosts]
    params = {"field": field, "item_field": item_field, "rules": rules}
    script = {"type": "number", "order": "desc", "script": {"id": BOOSTS.id, "params": params}}
    return [{"_script": script}, *field_sort(field, item_field)]


def downrank_sort(field: str, item_field: str, factors: Mapping[str, float]) -> Sort:
    """By rank times the multiplier of the user's recent actions: exact inside the engine, for every hit."""
    params = {"field": field, "item_field": item_field, "penalties": dict(factors)}
    script = {"type": "number", "order": "desc", "script": {"id": DOWNRANK.id, "params": params}}
    return [{"_script": script}, {item_field: {"order": "asc"}}]


def interval_sort(field: str, item_field: str, positions: Mapping[str, int]) -> Sort:
    """By planned position; what was not planned follows by rank."""
    params = {"item_field": item_field, "positions": dict(positions)}
    script = {"type": "number", "order": "asc", "script": {"id": INTERVAL.id, "params": params}}
    return [{"_script": script}, *field_sort(field, item_field)]


def planned_position(item_id: str, positions: Mapping[str, int]) -> int:
    """The Python twin of `interval.painless`."""
    return positions.get(item_id, len(positions))
