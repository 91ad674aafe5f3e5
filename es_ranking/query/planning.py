"""Reading hits for a planner: a window first, a longer one when the planner asks, never more than the engine allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.query.body import Asked, Body
from es_ranking.query.prepare import Ready
from es_ranking.query.steps import Steps
from es_ranking.scripts.sorts import boosts_sort, field_sort
from es_ranking.scripts.store import ensure_scripts
from es_ranking.twiddlers.contract import Facts, Hit, Strand, Twiddler
from es_ranking.twiddlers.pins import PinsSettings
from es_ranking.twiddlers.planner import Plan, Planner, Planning
from es_ranking.twiddlers.settings import Surface
from segments.errors import RankingError, UsageError

TOO_DEEP = "page too deep: its plan needs more than the first {} hits"
_NO_FIELDS: dict[str, Any] = {}


class GenerationSwitched(RankingError):
    """The alias points at another index than the one this request was prepared for. Prepare it again."""


@dataclass
class Reading:
    """What was read for a plan."""

    plan: Plan
    response: dict[str, Any]
    kept: Kept
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


def twiddlers_of(ready: Ready, surface: Surface) -> Steps[Built]:
    """Builds the twiddlers of a request; what does nothing for this user and query is left out."""
    pins = next((one for one in ready.settings if isinstance(one, PinsSettings)), None)
    pinned: dict[str, Hit] = {}
    unshown: tuple[str, ...] = ()
    if pins is not None:
        items = [pin.item for pin in pins.pins]
        sort = field_sort(ready.served.field, surface.item_field)
        body = ready.asked.pins_body(sort, surface.item_field, items, attributes_of(ready))
        (answer,) = yield [(ready.target, body)]
        check_generation(ready, answer)
        pinned = {hit.item_id: hit for hit in map(hit_of, answer["hits"]["hits"])}
        missing = [pin for pin in pins.pins if pin.item not in pinned]
        unshown = tuple(
            f"{pin.campaign or surface.name}: pin of {pin.item} at {pin.slot}: does not match the query"
            for pin in missing
        )
    built: list[Twiddler] = [one.build(Facts(ready.counts, pinned, ready.taste)) for one in ready.settings]
    return Built([one for one in built if not one.idle], int(pins is not None), unshown)


@dataclass
class Window:
    """The first hits of a list, read piece by piece."""

    asked: Asked
    read: int = 0
    missing: int = 0
    last: list[Any] | None = None
    ended: bool = False

    def body(self, sort: Sequence[Body], attributes: Sequence[str], *, size: int, whole: bool, counted: bool) -> Body:
        """Asks for what lacks of the first `size` hits."""
        asked = self.asked if self.last is None else self.asked.after(self.last, counted=counted)
        make = asked.whole_body if whole else asked.plan_body
        self.missing = 1 if self.ended else max(1, size - self.read)
        return make(sort, attributes, size=self.missing)

    def take(self, raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What came of it; what was added behind the end of a list that was read to its end is none of it."""
        if self.ended:
            return []
        self.read += len(raw)
        self.last = raw[-1]["sort"] if raw else self.last
        self.ended = len(raw) < self.missing
        return raw


@dataclass
class Kept:
    """A list that was read and planned so far, for its next page.

    Args:
        windows: of the whole list, then of the boosts' strands.
        without: the stores that it goes without.
    """

    planning: Planning
    windows: list[Window]
    without: tuple[str, ...]

    @classmethod
    def begin(cls, planner: Planner, ready: Ready, surface: Surface) -> Kept:
        """Nothing is read yet."""
        strands = [] if planner.boosts is None else planner.boosts.strands(surface.item_field)
        windows = [Window(ready.asked), *(Window(ready.asked.strand(one)) for one in strands)]
        return cls(planner.begin(), windows, ready.without)


def read_plan(
    engine: Engine,
    ready: Ready,
    surface: Surface,
    planner: Planner,
    *,
    whole: bool,
    start: int,
    kept: Kept | None = None,
) -> Steps[Reading]:
    """Reads until the planner knows every place of the page, or from the first to its end.

    Args:
        whole: also ask for the caller's own fields (plan and fetch in one).
        start: the first place to plan; places before it are needed no more.
        kept: what the page before has read and planned.

    Raises:
        UsageError: the page lies deeper than the engine's window.
        GenerationSwitched: see there.
    """
    asked = ready.asked
    wanted = asked.start + asked.size
    if kept is not None:
        main = kept.windows[0]
        main.asked = main.asked.counting(asked)
    sort = field_sort(ready.served.field, surface.item_field)
    if planner.boosts is not None and asked.in_one:
        # the hit that stands for a group is chosen by the sort, so the boosts must be in it
        ensure_scripts(engine)
        boosted, _, tie = boosts_sort(ready.served.field, surface.item_field, planner.boosts.boosts)
        sort, planner = [boosted, tie], planner.without_boosts()
    attributes = attributes_of(ready)
    size = min(planner.window(wanted), surface.max_window)
    response: dict[str, Any] = {}
    by_item: dict[str, dict[str, Any]] = {}
    requests = 0
    while True:
        if kept is None or (asked.in_one and requests):
            # groups and nearest vectors cannot be gone on with: they are read anew, more of them
            kept = Kept.begin(planner, ready, surface)
        main, *strands = kept.windows
        # the first request counts what the caller wants counted, even where all hits are known
        open_ones = [one for one in kept.windows if (one is main and not requests) or not one.ended]
        # an alias may be switched between two requests, and an empty answer names no index
        target = ready.served.index if requests else ready.target
        found = yield [
            (target, one.body(sort, attributes, size=size, whole=whole and one is main, counted=not requests))
            for one in open_ones
        ]
        requests += 1
        came: dict[int, list[dict[str, Any]]] = {}
        for one, answer in zip(open_ones, found, strict=True):
            check_generation(ready, answer)
            came[id(one)] = one.take(answer["hits"]["hits"])
        response = response or found[0]
        raw = came.get(id(main), [])
        hits = [hit_of(one) for one in raw]
        by_item |= {hit.item_id: one for hit, one in zip(hits, raw, strict=True)}
        told = [Strand([hit_of(one) for one in came.get(id(part), [])], part.ended) for part in strands]
        kept.planning.feed(hits, wanted, ended=main.ended, strands=told)
        plan = kept.planning.plan(start, wanted)
        if not plan.needs:
            return Reading(plan, response, kept, by_item, requests)
        if size >= surface.max_window:
            raise UsageError(
                TOO_DEEP.format(surface.max_window),
                where="query body",
                hint="narrow the query, or show fewer pages",
            )
        size = min(plan.needs, surface.max_window)


def hit_of(raw: Mapping[str, Any]) -> Hit:
    """A hit sorted by `field_sort`: its score and item id are the sort values."""
    score, item = raw["sort"][:2]
    return Hit(item, score if isinstance(score, int | float) else None, raw.get("fields", _NO_FIELDS))


def check_generation(ready: Ready, response: Mapping[str, Any]) -> None:
    """An alias may have been switched since it was looked at: every hit names the index it came from.

    Raises:
        GenerationSwitched: it was.
    """
    hits = response["hits"]["hits"]
    if hits and hits[0]["_index"] != ready.served.index:
        raise GenerationSwitched("the generation was switched", where=ready.target)
