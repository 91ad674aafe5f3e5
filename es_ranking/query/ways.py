"""The ways to run a recommended search. All give the same order; they differ in what they cost and what they carry.

- `field`: a plain sort by the rank field: nothing to plan, one request.
- `at_once`: plan and fetch in one request; for small windows.
- `plan_then_fetch`: doc values for the window, then the page's items; the reference.
- `script`: plan, then the caller's own query with a script sort over the planned positions (aggregations, highlights
  and paging stay as they were). Boosts alone, and downrank alone by factors, need no plan: their scripts are exact
  for every hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.query.body import Body
from es_ranking.query.planning import Reading, attributes_of, check_generation, read_plan, twiddlers_of
from es_ranking.query.prepare import Ready
from es_ranking.scripts.sorts import boosts_sort, downrank_sort, field_sort, interval_sort
from es_ranking.scripts.store import ensure_scripts
from es_ranking.twiddlers.boosts import Boosts
from es_ranking.twiddlers.contract import Entry, Hit, Twiddler
from es_ranking.twiddlers.downrank import Downrank
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.settings import Surface
from segments.errors import UsageError

UNRANKED = "-Infinity"
"""How the engine prints the sort value of a hit without a rank."""
WAYS = ("auto", "at_once", "plan_then_fetch", "script")


@dataclass(frozen=True)
class Run:
    """What a way gives back: the page's entries with their hits, in order; `unshown`: pins that do not match."""

    entries: Sequence[Entry]
    raw: Sequence[dict[str, Any]]
    response: dict[str, Any]
    way: str
    certificate: str
    ended: bool
    requests: int
    unshown: tuple[str, ...] = ()


def run(engine: Engine, ready: Ready, surface: Surface, way: str) -> Run:
    """Runs a prepared request.

    Raises:
        UsageError: no such way, or it cannot carry this query.
    """
    if way not in WAYS:
        raise UsageError.unknown("way", way, WAYS)
    built = twiddlers_of(engine, ready, surface)
    twiddlers = built.twiddlers
    if not twiddlers or ready.asked.size == 0:
        done = _field(engine, ready, surface)
    elif way == "script":
        done = _script(engine, ready, surface, twiddlers)
    else:
        planner = Planner(twiddlers)
        window = planner.window(ready.asked.start + ready.asked.size)
        in_one = way == "at_once" or ready.asked.in_one or (way == "auto" and window <= surface.at_once)
        if in_one and way != "plan_then_fetch":
            done = _at_once(engine, ready, surface, planner)
        elif ready.asked.in_one:
            raise UsageError("collapse and knn cannot be planned and fetched apart", hint="way: at_once")
        else:
            done = _plan_then_fetch(engine, ready, surface, planner)
    return replace(done, requests=done.requests + built.requests, unshown=built.unshown)


@dataclass(frozen=True)
class Sorting:
    """A sort clause that gives the caller's own query the recommended order; `reading` is what it took to know it."""

    sort: list[Body]
    certificate: str = "exact"
    reading: Reading | None = None


def sorting(engine: Engine, ready: Ready, surface: Surface, twiddlers: Sequence[Twiddler]) -> Sorting:
    """By the field, by the downrank script, or by planned positions: the cheapest that is exact."""
    field, item_field = ready.served.field, surface.item_field
    if not twiddlers:
        return Sorting(field_sort(field, item_field))
    ensure_scripts(engine)
    if len(twiddlers) == 1 and isinstance(twiddlers[0], Boosts):
        return Sorting(boosts_sort(field, item_field, twiddlers[0].boosts))
    factors = _factors(twiddlers)
    if factors is not None:
        return Sorting(downrank_sort(field, item_field, factors))
    reading = read_plan(engine, ready, surface, Planner(twiddlers), whole=False)
    positions = {entry.hit.item_id: place for place, entry in enumerate(reading.plan.order)}
    return Sorting(interval_sort(field, item_field, positions), reading.plan.certificate, reading)


def _factors(twiddlers: Sequence[Twiddler]) -> dict[str, float] | None:
    """The multipliers, when downrank by factors is all there is to do."""
    if len(twiddlers) != 1 or not isinstance(twiddlers[0], Downrank):
        return None
    by_item = twiddlers[0].by_item
    if any(penalty.places or penalty.not_in_first or penalty.excluded for penalty in by_item.values()):
        return None
    return {item: penalty.factor for item, penalty in by_item.items()}


def _field(engine: Engine, ready: Ready, surface: Surface) -> Run:
    asked = ready.asked
    sort = field_sort(ready.served.field, surface.item_field)
    response = engine.search(ready.target, asked.body(sort, start=asked.start, size=asked.size))
    check_generation(ready, response)
    raw = response["hits"]["hits"]
    return Run(_entries(raw, asked.start), raw, response, "field", "exact", len(raw) < asked.size, 1)


def _at_once(engine: Engine, ready: Ready, surface: Surface, planner: Planner) -> Run:
    reading = read_plan(engine, ready, surface, planner, whole=True)
    entries = reading.plan.order[ready.asked.start :]
    own = ready.asked.doc_values()
    extra = [name for name in attributes_of(ready) if name not in own and not ready.asked.shown.get("fields")]
    raw = {item: _without(hit, extra) for item, hit in reading.raw.items()}
    # a pin may stand further down than the window
    far = [entry for entry in entries if entry.hit.item_id not in raw]
    if far:
        raw |= _fetched(engine, ready, surface, far)
        reading.requests += 1
    there = [entry for entry in entries if entry.hit.item_id in raw]
    return _planned(reading, there, [raw[entry.hit.item_id] for entry in there], "at_once")


def _plan_then_fetch(engine: Engine, ready: Ready, surface: Surface, planner: Planner) -> Run:
    reading = read_plan(engine, ready, surface, planner, whole=False)
    entries = reading.plan.order[ready.asked.start :]
    raw = _fetched(engine, ready, surface, entries) if entries else {}
    reading.requests += bool(entries)
    # an item deleted between plan and fetch is gone; everything else keeps its place
    there = [entry for entry in entries if entry.hit.item_id in raw]
    return _planned(reading, there, [raw[entry.hit.item_id] for entry in there], "plan_then_fetch")


def _fetched(engine: Engine, ready: Ready, surface: Surface, entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Item → its hit with the caller's fields, and the sort values of the base order."""
    scores = {entry.hit.item_id: entry.hit.score for entry in entries}
    body = ready.asked.fetch_body(surface.item_field, list(scores))
    found = {}
    for hit in engine.search(ready.served.index, body)["hits"]["hits"]:
        item = hit["sort"][0]
        score = scores[item]
        found[item] = hit | {"sort": [UNRANKED if score is None else score, item]}
    return found


def _planned(reading: Reading, entries: Sequence[Entry], raw: list[dict[str, Any]], way: str) -> Run:
    response = {**reading.response, "hits": {**reading.response["hits"], "hits": raw}}
    plan = reading.plan
    return Run(entries, raw, response, way, plan.certificate, plan.ended, reading.requests)


def _script(engine: Engine, ready: Ready, surface: Surface, twiddlers: Sequence[Twiddler]) -> Run:
    asked = ready.asked
    by = sorting(engine, ready, surface, twiddlers)
    response = engine.search(ready.served.index, asked.body(by.sort, start=asked.start, size=asked.size))
    check_generation(ready, response)
    raw = response["hits"]["hits"]
    # the last two sort values are score and item id, whichever script stands before them
    raw = [hit | {"sort": hit["sort"][-2:]} for hit in raw]
    planned = {entry.hit.item_id: entry for entry in by.reading.plan.order} if by.reading else {}
    entries = [planned.get(entry.hit.item_id, entry) for entry in _entries(raw, asked.start)]
    response = {**response, "hits": {**response["hits"], "hits": raw}}
    requests = 1 + (by.reading.requests if by.reading else 0)
    return Run(entries, raw, response, "script", by.certificate, len(raw) < asked.size, requests)


def _entries(raw: Sequence[dict[str, Any]], start: int) -> list[Entry]:
    entries = []
    for place, hit in enumerate(raw, start=start + 1):
        score, item = hit["sort"]
        found = Hit(item, score if isinstance(score, int | float) else None)
        entries.append(Entry(found, found.score, {"base": place}))
    return entries


def _without(hit: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The hit without the doc values that only the plan needed."""
    if not names or "fields" not in hit:
        return hit
    left = {name: values for name, values in hit["fields"].items() if name not in names}
    rest = {key: value for key, value in hit.items() if key != "fields"}
    return rest | ({"fields": left} if left else {})
