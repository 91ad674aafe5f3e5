"""What changed between two policies, one line a change: what the audit keeps and a dry run prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from es_ranking.policy.document import Policy


def changes(before: Policy | None, after: Policy) -> list[str]:
    """Lines such as `soup week: pins: 1029743 at slot 2 → 3`, in the order of the document.

    >>> changes(None, Policy.of({"campaigns": [{"name": "soup", "priority": 2}]}))
    ['soup: added', 'soup: priority: 2']
    """
    old = {campaign.name: campaign for campaign in before.campaigns} if before else {}
    new = {campaign.name: campaign for campaign in after.campaigns}
    lines = [f"{name}: removed" for name in old if name not in new]
    for name, campaign in new.items():
        was = dict(_parts(old[name].model_dump(mode="json", exclude_defaults=True))) if name in old else {}
        now = dict(_parts(campaign.model_dump(mode="json", exclude_defaults=True)))
        if name not in old:
            lines.append(f"{name}: added")
        lines += [f"{name}: {part}: {value} removed" for part, value in was.items() if part not in now]
        for part, value in now.items():
            if part not in was:
                lines.append(f"{name}: {part}: {value}")
            elif was[part] != value:
                lines.append(f"{name}: {part}: {was[part]} → {value}")
    if before and not lines and before != after:
        lines.append("campaigns stand in another order")
    return lines


def _parts(campaign: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The parts of a campaign that change by themselves: a field, or one rule of a list of rules."""
    for name, value in campaign.items():
        if name == "name":
            continue
        if name == "pins":
            for pin in value:
                yield f"pin of {pin['item']}", f"slot {pin['slot']}"
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for rule in value:
                what = {key: one for key, one in rule.items() if key in {"items", "where", "name"}}
                rest = {key: one for key, one in rule.items() if key not in what}
                yield f"{name} {_told(what)}", _told(rest) or "yes"
        else:
            yield name, _told(value)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_told(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ",".join(_told(one) for one in value)
    return str(value)
