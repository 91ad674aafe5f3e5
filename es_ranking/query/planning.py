"""Reading hits for a planner: a window first, a longer one when the planner asks, never more than the engine allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.query.prepare import Ready
from es_ranking.scripts.sorts import boosts_sort, field_sort
from es_ranking.scripts.store import ensure_scripts
from es_ranking.twiddlers.contract import Facts, Hit, Strand, Twiddler
from es_ranking.twiddlers.pins import PinsSettings
from es_ranking.twiddlers.planner import Plan, Planner
from es_ranking.twiddlers.settings import Surface
from segments.errors import RankingError, UsageError


class GenerationSwitched(RankingError):
    """The alias points at another index than the one this request was prepared for. Prepare it again."""


@dataclass
class Reading:
    """What was read for a plan."""

    plan: Plan
    response: dict[str, Any]
    raw: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: int = 0


def attributes_of(ready: Ready) -> list[str]:
    """Fields whose doc values the twiddlers of this request look at."""
    facts = Facts(ready.counts, taste=ready.taste)
    return list(dict.fromkeys(name for one in ready.settings for name in one.attributes(facts)))


@dataclass(frozen=True)
class Built:
    """The twiddlers that have something to do in a request.

    Args:
        requests: how many it took to know.
        unshown: pins whose item does not match the query.
    """

    twiddlers: list[Twiddler]
    requests: int
    unshown: tuple[str, ...]


def twiddlers_of(engine: Engine, ready: Ready, surface: Surface) -> Built:
    """Builds the twiddlers of a request; what does nothing for this user and query is left out."""
    pins = next((one for one in ready.settings if isinstance(one, PinsSettings)), None)
    pinned: dict[str, Hit] = {}
    unshown: tuple[str, ...] = ()
    if pins is not None:
        items = [pin.item for pin in pins.pins]
        sort = field_sort(ready.served.field, surface.item_field)
        attributes = attributes_of(ready)
        answer = engine.search(ready.target, ready.asked.pins_body(sort, surface.item_field, items, attributes))
        check_generation(ready, answer)
        pinned = {hit.item_id: hit for hit in (hit_of(raw, attributes) for raw in answer["hits"]["hits"])}
        missing = [pin for pin in pins.pins if pin.item not in pinned]
        unshown = tuple(
            f"{pin.campaign or surface.name}: pin of {pin.item} at {pin.slot}: does not match the query"
            for pin in missing
        )
    built: list[Twiddler] = [one.build(Facts(ready.counts, pinned, ready.taste)) for one in ready.settings]
    return Built([one for one in built if not one.idle], int(pins is not None), unshown)


def read_plan(engine: Engine, ready: Ready, surface: Surface, planner: Planner, *, whole: bool) -> Reading:
    """Reads until the planner knows every place up to the end of the page.

    Args:
        whole: also ask for the caller's own fields (plan and fetch in one).

    Raises:
        UsageError: the page lies deeper than the engine's window.
        GenerationSwitched: see there.
    """
    asked = ready.asked
    wanted = asked.start + asked.size
    sort = field_sort(ready.served.field, surface.item_field)
    if planner.boosts is not None and asked.in_one:
        # the hit that stands for a group is chosen by the sort, so the boosts must be in it
        ensure_scripts(engine)
        boosted, _, tie = boosts_sort(ready.served.field, surface.item_field, planner.boosts.boosts)
        sort, planner = [boosted, tie], planner.without_boosts()
    parts = [] if planner.boosts is None else [asked.strand(one) for one in planner.boosts.strands(surface.item_field)]
    attributes = attributes_of(ready)
    size = min(planner.window(wanted), surface.max_window)
    requests = 0
    while True:
        make = asked.whole_body if whole else asked.plan_body
        bodies = [make(sort, attributes, size=size), *(part.plan_body(sort, attributes, size=size) for part in parts)]
        if parts:
            response, *others = engine.msearch([(ready.target, body) for body in bodies])
        else:
            response, others = engine.search(ready.target, bodies[0]), []
        requests += 1
        for answer in (response, *others):
            check_generation(ready, answer)
        raw = response["hits"]["hits"]
        hits = [hit_of(one, attributes) for one in raw]
        found = [[hit_of(one, attributes) for one in answer["hits"]["hits"]] for answer in others]
        strands = [Strand(strand, ended=len(strand) < size) for strand in found]
        plan = planner.plan(hits, wanted, ended=len(raw) < size, strands=strands)
        if not plan.needs:
            by_item = {hit.item_id: one for hit, one in zip(hits, raw, strict=True)}
            return Reading(plan, response, by_item, requests)
        if size >= surface.max_window:
            raise UsageError(
                f"page too deep: its plan needs more than the first {surface.max_window} hits",
                where="query body",
                hint="narrow the query, or show fewer pages",
            )
        size = min(plan.needs, surface.max_window)


def hit_of(raw: Mapping[str, Any], attributes: Sequence[str]) -> Hit:
    """A hit sorted by `field_sort`: its score and item id are the sort values."""
    score, item = raw["sort"][:2]
    values = raw.get("fields", {})
    return Hit(
        item,
        score if isinstance(score, int | float) else None,
        {name: tuple(values[name]) for name in attributes if name in values},
    )


def check_generation(ready: Ready, response: Mapping[str, Any]) -> None:
    """An alias may have been switched since it was looked at: every hit names the index it came from.

    Raises:
        GenerationSwitched: it was.
    """
    hits = response["hits"]["hits"]
    if hits and hits[0]["_index"] != ready.served.index:
        raise GenerationSwitched("the generation was switched", where=ready.target)
