"""Which campaigns hold for one request, and what they come to together.

An exclusion wins over everything. A slot, and an item that is pinned twice, go to the campaign of the highest priority;
of several boosts and buries that match an item the highest priority's counts, and of several expressions its one runs.
What a surface itself configures comes after all campaigns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from es_ranking.policy.document import Campaign, Policy
from es_ranking.twiddlers.boosts import MOST_RAISING, Boost, BoostsSettings
from es_ranking.twiddlers.pins import Pin, PinsSettings
from es_ranking.twiddlers.registry import TwiddlerSettings
from es_ranking.twiddlers.scripted import ScriptedSettings
from es_ranking.twiddlers.selection import Selection, text


@dataclass(frozen=True)
class Place:
    """Where a request stands.

    Args:
        at: its time.
        surface, variant, segment: of the page and of who is served.
        query: its query, post filter included, for the lists it is about.
    """

    at: datetime
    surface: str
    variant: str
    segment: str
    query: Mapping[str, Any]


@dataclass(frozen=True)
class Effective:
    """What holds for one request.

    Args:
        campaigns: names of those that hold, the winning one first.
        exclusions: never shown.
        pins, boosts, expression: as twiddlers take them.
        overruled: what was wanted and is not done, and why.
    """

    campaigns: tuple[str, ...] = ()
    exclusions: tuple[Selection, ...] = ()
    pins: tuple[Pin, ...] = ()
    boosts: tuple[Boost, ...] = ()
    expression: ScriptedSettings | None = None
    overruled: tuple[str, ...] = ()

    def joined(self, surface: tuple[TwiddlerSettings, ...]) -> tuple[TwiddlerSettings, ...]:
        """The twiddlers of a request: what the campaigns want, then what the surface itself configures."""
        own: dict[str, TwiddlerSettings] = {one.kind: one for one in surface}
        pins, boosts = own.get("pins"), own.get("boosts")
        if self.pins:
            later = pins.pins if isinstance(pins, PinsSettings) else ()
            own["pins"] = PinsSettings(pins=_unclashing((*self.pins, *later))[0])
        if self.boosts:
            further = boosts.boosts if isinstance(boosts, BoostsSettings) else ()
            own["boosts"] = BoostsSettings(boosts=(*self.boosts, *further))
        if self.expression is not None:
            own["scripted"] = self.expression
        return tuple(own.values())


def effective(policy: Policy, place: Place) -> Effective:
    """What a policy comes to at one place."""
    holding = [campaign for campaign in policy.by_priority if _holds(campaign, place)]
    pins, clashing = _unclashing(tuple(_named(pin, one) for one in holding for pin in one.pins))
    boosts, dropped = _raising_at_most(
        tuple(_boost(rule, one) for one in holding for rule in one.factors if rule.factor != 1.0)
    )
    expressions = [(one.name, expression) for one in holding for expression in one.expressions]
    overruled = [
        *(f"{pin.campaign}: pin of {pin.item} at {pin.slot}: another campaign's comes first" for pin in clashing),
        *(f"{boost.campaign}: boost x {boost.factor:g}: more than {MOST_RAISING} raise at once" for boost in dropped),
        *(f"{name}: expression {one.name}: another campaign's comes first" for name, one in expressions[1:]),
    ]
    return Effective(
        campaigns=tuple(one.name for one in holding),
        exclusions=tuple(rule for one in holding for rule in one.exclusions),
        pins=pins,
        boosts=boosts,
        expression=expressions[0][1] if expressions else None,
        overruled=tuple(overruled),
    )


def _holds(campaign: Campaign, place: Place) -> bool:
    scopes = (
        (campaign.surfaces, place.surface), (campaign.variants, place.variant), (campaign.segments, place.segment)
    )  # fmt: skip
    if any(names and name not in names for names, name in scopes):
        return False
    if campaign.lists:
        required = required_values(place.query)
        for name, values in campaign.lists.items():
            wanted = {text(value) for value in values}
            if not any(found <= wanted for found in required.get(name, ())):
                return False
    return campaign.holds_at(place.at)


def required_values(query: Any) -> dict[str, list[set[str]]]:
    """Field → sets of values, of each of which every hit of a query has one, as far as `term`, `terms` and `bool` tell.

    >>> required_values({"bool": {"filter": [{"term": {"list": "SOUP"}}], "must_not": [{"term": {"brand": 1}}]}})
    {'list': [{'SOUP'}]}
    """
    found: dict[str, list[set[str]]] = {}
    for name, values in _required(query):
        found.setdefault(name, []).append(values)
    return found


def _required(query: Any) -> Iterator[tuple[str, set[str]]]:
    if isinstance(query, list):
        for one in query:
            yield from _required(one)
    if not isinstance(query, Mapping):
        return
    for kind in ("term", "terms"):
        clauses = query.get(kind)
        for name, wanted in clauses.items() if isinstance(clauses, Mapping) else ():
            values = wanted.get("value") if isinstance(wanted, Mapping) else wanted
            listed: list[Any] = values if isinstance(values, list) else [values]
            if name != "boost" and all(isinstance(value, str | int) for value in listed):
                yield name, {text(value) for value in listed}
    inner = query.get("bool")
    if isinstance(inner, Mapping):
        yield from _required([inner.get("filter"), inner.get("must")])
    inner = query.get("constant_score")
    if isinstance(inner, Mapping):
        yield from _required(inner.get("filter"))


def _named(pin: Pin, campaign: Campaign) -> Pin:
    return Pin(item=pin.item, slot=pin.slot, campaign=campaign.name)


def _boost(rule: Selection, campaign: Campaign) -> Boost:
    return Boost.model_validate({**rule.model_dump(), "campaign": campaign.name})


def _unclashing(pins: tuple[Pin, ...]) -> tuple[tuple[Pin, ...], list[Pin]]:
    kept: list[Pin] = []
    clashing: list[Pin] = []
    slots: set[int] = set()
    items: set[str] = set()
    for pin in pins:
        if pin.slot in slots or pin.item in items:
            clashing.append(pin)
            continue
        kept.append(pin)
        slots.add(pin.slot)
        items.add(pin.item)
    return tuple(kept), clashing


def _raising_at_most(boosts: tuple[Boost, ...]) -> tuple[tuple[Boost, ...], list[Boost]]:
    raising = [boost for boost in boosts if boost.factor > 1.0]
    dropped = raising[MOST_RAISING:]
    left_out = {id(boost) for boost in dropped}
    return tuple(boost for boost in boosts if id(boost) not in left_out), dropped
