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
from es_ranking.query.interleaved import read_drafted
from es_ranking.query.planning import Kept, Reading, attributes_of, check_generation, read_plan, twiddlers_of
from es_ranking.query.prepare import Ready
from es_ranking.query.steps import Steps
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
    """What a way gives back: the page's entries with their hits, in order.

    Args:
        unshown: pins that do not match.
        kept: what was read and planned, for the next page.
    """

    entries: Sequence[Entry]
    raw: Sequence[dict[str, Any]]
    response: dict[str, Any]
    way: str
    certificate: str
    ended: bool
    requests: int
    unshown: tuple[str, ...] = ()
    kept: Kept | None = None


def run(engine: Engine, ready: Ready, surface: Surface, way: str, kept: Kept | None = None) -> Steps[Run]:
    """Runs a prepared request; `kept` is what its page before has read and planned.

    Raises:
        UsageError: no such way, or it cannot carry this query.
    """
    if way not in WAYS:
        raise UsageError.unknown("way", way, WAYS)
    built = yield from twiddlers_of(ready, surface)
    twiddlers = built.twiddlers
    if ready.asked.size == 0 or (not twiddlers and ready.versus is None):
        done = yield from _field(ready, surface)
    elif way == "script":
        done = yield from _script(engine, ready, surface, twiddlers)
    elif ready.versus is not None:
        done = yield from _plan_then_fetch(engine, ready, surface, Planner(twiddlers), None)
        done = replace(done, kept=None)
    else:
        planner = Planner(twiddlers)
        window = planner.window(ready.asked.start + ready.asked.size)
        in_one = way == "at_once" or ready.asked.in_one or (way == "auto" and window <= surface.at_once)
        if in_one and kept is None and way != "plan_then_fetch":
            done = yield from _at_once(engine, ready, surface, planner)
        elif ready.asked.in_one:
            raise UsageError("collapse and knn cannot be planned and fetched apart", hint="way: at_once")
        else:
            done = yield from _plan_then_fetch(engine, ready, surface, planner, kept)
    return replace(done, requests=done.requests + built.requests, unshown=built.unshown)


@dataclass(frozen=True)
class Sorting:
    """A sort clause that gives the caller's own query the recommended order; `reading` is what it took to know it."""

    sort: list[Body]
    certificate: str = "exact"
    reading: Reading | None = None


def sorting(engine: Engine, ready: Ready, surface: Surface, twiddlers: Sequence[Twiddler]) -> Steps[Sorting]:
    """By the field, by the downrank script, or by planned positions: the cheapest that is exact."""
    field, item_field = ready.served.field, surface.item_field
    if not twiddlers and ready.versus is None:
        return Sorting(field_sort(field, item_field))
    ensure_scripts(engine)
    if ready.versus is None:
        if len(twiddlers) == 1 and isinstance(twiddlers[0], Boosts):
            return Sorting(boosts_sort(field, item_field, twiddlers[0].boosts))
        factors = _factors(twiddlers)
        if factors is not None:
            return Sorting(downrank_sort(field, item_field, factors))
    reading = yield from _read(engine, ready, surface, Planner(twiddlers), start=0)
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


def _field(ready: Ready, surface: Surface) -> Steps[Run]:
    asked = ready.asked
    sort = field_sort(ready.served.field, surface.item_field)
    (response,) = yield [(ready.target, asked.body(sort, start=asked.start, size=asked.size))]
    check_generation(ready, response)
    raw = response["hits"]["hits"]
    return Run(_entries(raw, asked.start), raw, response, "field", "exact", len(raw) < asked.size, 1)


def _at_once(engine: Engine, ready: Ready, surface: Surface, planner: Planner) -> Steps[Run]:
    reading = yield from read_plan(engine, ready, surface, planner, whole=True, start=ready.asked.start)
    entries = reading.plan.order
    own = ready.asked.doc_values()
    extra = [name for name in attributes_of(ready) if name not in own and not ready.asked.shown.get("fields")]
    raw = {item: _without(hit, extra) for item, hit in reading.raw.items()}
    # a pin may stand further down than the window
    far = [entry for entry in entries if entry.hit.item_id not in raw]
    if far:
        raw |= yield from _fetched(ready, surface, far)
        reading.requests += 1
    there = [entry for entry in entries if entry.hit.item_id in raw]
    return _planned(reading, there, [raw[entry.hit.item_id] for entry in there], "at_once")


def _plan_then_fetch(engine: Engine, ready: Ready, surface: Surface, planner: Planner, kept: Kept | None) -> Steps[Run]:
    reading = yield from _read(engine, ready, surface, planner, start=ready.asked.start, kept=kept)
    entries = reading.plan.order
    raw = (yield from _fetched(ready, surface, entries)) if entries else {}
    reading.requests += bool(entries)
    # an item deleted between plan and fetch is gone; everything else keeps its place
    there = [entry for entry in entries if entry.hit.item_id in raw]
    return _planned(reading, there, [raw[entry.hit.item_id] for entry in there], "plan_then_fetch")


def _read(
    engine: Engine, ready: Ready, surface: Surface, planner: Planner, *, start: int, kept: Kept | None = None
) -> Steps[Reading]:
    if ready.versus is not None:
        return (yield from read_drafted(engine, ready, surface, planner, start=start))
    return (yield from read_plan(engine, ready, surface, planner, whole=False, start=start, kept=kept))


def _fetched(ready: Ready, surface: Surface, entries: Sequence[Entry]) -> Steps[dict[str, dict[str, Any]]]:
    """Item → its hit with the caller's fields, and the sort values of the base order."""
    scores = {entry.hit.item_id: entry.hit.score for entry in entries}
    body = ready.asked.fetch_body(surface.item_field, list(scores))
    (answer,) = yield [(ready.served.index, body)]
    found = {}
    for hit in answer["hits"]["hits"]:
        item = hit["sort"][0]
        score = scores[item]
        found[item] = hit | {"sort": [UNRANKED if score is None else score, item]}
    return found


def _planned(reading: Reading, entries: Sequence[Entry], raw: list[dict[str, Any]], way: str) -> Run:
    response = {**reading.response, "hits": {**reading.response["hits"], "hits": raw}}
    plan = reading.plan
    return Run(entries, raw, response, way, plan.certificate, plan.ended, reading.requests, kept=reading.kept)


def _script(engine: Engine, ready: Ready, surface: Surface, twiddlers: Sequence[Twiddler]) -> Steps[Run]:
    asked = ready.asked
    by = yield from sorting(engine, ready, surface, twiddlers)
    (response,) = yield [(ready.served.index, asked.body(by.sort, start=asked.start, size=asked.size))]
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
