"""Whether a policy fits its index: the fields it names must be there and comparable, before it can fail a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.policy.document import Policy
from es_ranking.twiddlers.contract import Facts
from segments.errors import UsageError

NUMBERS = {
    "byte", "short", "integer", "long", "unsigned_long", "half_float", "float", "double", "scaled_float", "boolean",
}  # fmt: skip
COMPARED = {"keyword", "byte", "short", "integer", "long", "boolean"}


def check_fields(engine: Engine, index: str, policy: Policy) -> None:
    """Every field that a policy names.

    Raises:
        UsageError: a field the index does not have, or whose type is not the one a rule compares or an expression
            computes with.
    """
    types = dict(_types(engine.get_mapping(index).get("properties", {})))
    for campaign in policy.campaigns:
        where = f"campaign {campaign.name!r}"
        selections = (*campaign.factors, *campaign.exclusions)
        compared = [name for rule in selections for name in rule.where] + list(campaign.lists)
        computed = [name for expression in campaign.expressions for name in expression.attributes(Facts())]
        for names, kinds, what in ((compared, COMPARED, "compared"), (computed, NUMBERS, "computed with")):
            for name in names:
                if name not in types:
                    raise UsageError.unknown("field", name, types, where=where)
                if types[name] not in kinds:
                    raise UsageError(
                        f"the field {name!r} is a {types[name]} and cannot be {what}",
                        where=where,
                        hint=f"{', '.join(sorted(known for known, kind in types.items() if kind in kinds)[:8])}",
                    )


def unknown_items(engine: Engine, index: str, policy: Policy) -> list[str]:
    """Items the policy names that the index does not have now; they may come later."""
    items = {
        item
        for campaign in policy.campaigns
        for item in (
            *(pin.item for pin in campaign.pins),
            *(one for rule in (*campaign.factors, *campaign.exclusions) for one in rule.items),
        )
    }
    listed = sorted(items)
    found = engine.mget(index, listed, source=["item_id"]) if listed else []
    return [item for item, document in zip(listed, found, strict=True) if document is None]


def _types(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, described in properties.items():
        if "type" in described and described.get("doc_values", True):
            yield prefix + name, described["type"]
        for inner in ("properties", "fields"):
            yield from _types(described.get(inner, {}), f"{prefix}{name}.")
