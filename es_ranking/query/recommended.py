"""The door: an existing query body, sorted by recommended."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from es_ranking.actions.contract import ActionStore
from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineRejected, IndexMissing
from es_ranking.policy.live import NOTHING, UNAVAILABLE, GivenPolicy, Policies
from es_ranking.query.audience import Audience, Served
from es_ranking.query.body import Body
from es_ranking.query.exposures import ExposureLog, exposures_of, propensities
from es_ranking.query.page import Page, PageHit
from es_ranking.query.planning import GenerationSwitched, twiddlers_of
from es_ranking.query.prepare import Ready, Request, Stores, next_cursor, prepare
from es_ranking.query.ways import Run, run, sorting
from es_ranking.tastes.contract import TasteStore
from es_ranking.twiddlers.settings import PLAIN, Surface
from segments.errors import RankingError

log = logging.getLogger(__name__)
CURSOR_LIFETIME = timedelta(hours=1)
_TRIES = 3
_audiences: WeakKeyDictionary[Engine, Audience] = WeakKeyDictionary()


def recommended(
    engine: Engine,
    index: str,
    body: Mapping[str, Any],
    *,
    user: str | None = None,
    segment: str | None = None,
    variant: str | None = None,
    at: datetime | None = None,
    surface: Surface = PLAIN,
    twiddlers: Collection[str] | None = None,
    actions: ActionStore | None = None,
    tastes: TasteStore | None = None,
    policies: Policies | None = None,
    cursor: str | None = None,
    way: str = "auto",
    explain: bool = False,
    exposures: ExposureLog | None = None,
    request_id: str | None = None,
    key: bytes | None = None,
    now: datetime | None = None,
) -> Page:
    """Runs a query body sorted by recommended.

    Args:
        engine: where to ask.
        index: the alias (or one generation's index).
        body: query, filters, aggregations, highlight, collapse, `_source`, from, size: as the engine takes it, without
            a sort of its own.
        user: resolved to a segment, and to recent actions.
        segment: instead of the user's own; the variant must rank for it.
        variant: instead of the surface's, the experiment's, or the generation's default.
        at: recent actions before this time count, and campaigns that hold then; None: now.
        surface: which twiddlers, with which parameters.
        twiddlers: names of those to leave on; None: all of the surface's, an empty list: none.
        actions: the recent-action store; None: no downrank.
        tastes: the taste store; None: no personal re-sort.
        policies: what merchandisers want, such as `LivePolicies(engine)`; None: nothing.
        cursor: of the page before. Only `size` and what is shown may differ from that page's request.
        way: `auto`, or one of `at_once`, `plan_then_fetch`, `script`; all give the same order.
        explain: every hit carries its moves.
        exposures: where what is shown is written down.
        request_id: of the exposures; None: a new one.
        key: signs cursors; None: ES_RANKING_CURSOR_KEY.
        now: the clock of cursors and exposures; None: the machine's.

    Raises:
        UsageError: unknown segment, variant, twiddler or way; a body that cannot be combined with a recommended sort;
            a page too deep; a cursor that is forged, expired or of another query.
        IndexMissing: no such index.
        Refused: nothing is published under this name.
        EngineUnreachable: the engine does not answer.
    """
    clock = now or datetime.now(UTC)
    request = Request(index, body, user, segment, variant, at, surface, twiddlers, cursor, clock, key)
    ready, done = _run(engine, request, Stores(actions, tastes, policies), way)
    hits = tuple(
        PageHit(
            item=entry.hit.item_id,
            place=ready.asked.start + offset + 1,
            hit=raw,
            places=dict(entry.places),
            moves=tuple(entry.moves()) if explain else (),
        )
        for offset, (entry, raw) in enumerate(zip(done.entries, done.raw, strict=True))
    )
    flags = list(ready.flags)
    if exposures is not None and hits:
        try:
            by_item = propensities(engine, ready.served, [hit.item for hit in hits])
            shown = exposures_of(
                hits, ready.served, by_item, ts=clock, request_id=request_id or uuid4().hex, user=user,
                surface=surface.name,
            )  # fmt: skip
            exposures.write(shown)
        except RankingError as error:
            log.warning("exposures are lost: %s", error)
            flags.append("exposures_lost")
    following = None
    if hits and not done.ended:
        # places, not hits: one that was deleted between plan and fetch must not shift the next page
        shown_to = next_cursor(ready, ready.asked.size, now=clock, lifetime=CURSOR_LIFETIME)
        following = shown_to.seal(key)
    return Page(
        hits=hits,
        response=done.response,
        index=ready.served.index,
        generation=ready.served.generation,
        segment=ready.served.segment,
        variant=ready.served.variant,
        as_of=ready.as_of,
        certificate=done.certificate,
        way=done.way,
        flags=tuple(flags),
        cursor=following,
        requests=done.requests,
        policy=ready.policy,
        campaigns=ready.wanted.campaigns,
        overruled=ready.wanted.overruled + done.unshown,
    )


@dataclass(frozen=True)
class Rewritten:
    """The equivalent body: run it on `index` with any client, and the order is the recommended one."""

    index: str
    body: Body
    served: Served
    certificate: str
    flags: tuple[str, ...]


def rewrite(
    engine: Engine,
    index: str,
    body: Mapping[str, Any],
    *,
    user: str | None = None,
    segment: str | None = None,
    variant: str | None = None,
    at: datetime | None = None,
    surface: Surface = PLAIN,
    twiddlers: Collection[str] | None = None,
    actions: ActionStore | None = None,
    tastes: TasteStore | None = None,
    policies: Policies | None = None,
) -> Rewritten:
    """The caller's own body, sorted by recommended, without running it.

    A plain field sort when no twiddler has anything to do; the downrank script when factors are all there is; else the
    interval script over the planned positions, exact up to the end of the page the body asks for.

    Raises:
        UsageError, IndexMissing, Refused, EngineUnreachable: as `recommended`.
    """
    request = Request(index, body, user, segment, variant, at, surface, twiddlers, None, datetime.now(UTC), None)
    audience = _audience(engine)
    for last in (False, False, True):
        ready = prepare(request, audience, Stores(actions, tastes, policies))
        try:
            found = twiddlers_of(engine, ready, surface).twiddlers
            by = sorting(engine, ready, surface, found)
        except GenerationSwitched:
            audience.forget(index)
            if last:
                raise
            continue
        whole = ready.asked.body(by.sort, start=ready.asked.start, size=ready.asked.size)
        return Rewritten(ready.served.index, whole, ready.served, by.certificate, ready.flags)
    raise AssertionError("unreachable")


def _run(engine: Engine, request: Request, stores: Stores, way: str) -> tuple[Ready, Run]:
    """Runs, again when the generation is switched meanwhile, from the start when a cursor's generation is gone."""
    audience = _audience(engine)
    restarted: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    for attempt in range(_TRIES):
        try:
            ready = prepare(request, audience, stores)
            ready = replace(ready, flags=restarted + ready.flags)
            campaigns = ready.wanted.campaigns
            return ready, run(engine, ready, request.surface, way)
        except GenerationSwitched:
            audience.forget(request.index)
            if attempt == _TRIES - 1:
                raise
        except IndexMissing:
            if request.cursor is not None:
                # the generation was retired in mid-paging: the old sequence cannot be continued, only begun anew
                request, restarted = replace(request, cursor=None), ("restarted",)
            elif attempt == _TRIES - 1 or not audience.knows(request.index):
                raise
            audience.forget(request.index)
        except EngineRejected as error:
            if not campaigns or attempt == _TRIES - 1:
                raise
            # a field that has gone, a script that may not be put: the policy is given up, not the search
            log.warning("the engine refuses the query with its policy: %s", error)
            stores = replace(stores, policies=GivenPolicy(NOTHING, UNAVAILABLE))
    raise AssertionError("unreachable")


def _audience(engine: Engine) -> Audience:
    return _audiences.setdefault(engine, Audience(engine))
