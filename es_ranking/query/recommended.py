"""The door: an existing query body, sorted by recommended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from es_ranking.actions.contract import ActionStore
from es_ranking.engine.contract import Engine
from es_ranking.experiments.live import Trials
from es_ranking.policy.live import Policies
from es_ranking.query.audience import Served
from es_ranking.query.body import Body
from es_ranking.query.exposures import ExposureLog
from es_ranking.query.page import Page
from es_ranking.query.planning import GenerationSwitched, twiddlers_of
from es_ranking.query.prepare import Request, Stores, prepare
from es_ranking.query.running import audience_of, page_of, run_request
from es_ranking.query.steps import drive
from es_ranking.query.ways import sorting
from es_ranking.tastes.contract import TasteStore
from es_ranking.twiddlers.settings import PLAIN, Surface


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
    experiments: Trials | None = None,
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
        variant: instead of the experiment's, the surface's, or the generation's default.
        at: recent actions before this time count, and campaigns that hold then; None: now.
        surface: which twiddlers, with which parameters.
        twiddlers: names of those to leave on; None: all of the surface's, an empty list: none.
        actions: the recent-action store; None: no downrank.
        tastes: the taste store; None: no personal re-sort.
        policies: what merchandisers want, such as `LivePolicies(engine)`; None: nothing.
        experiments: which variant whom, such as `LiveExperiments(engine)`; None: no experiment.
        cursor: of the page before. Only `size` and what is shown may differ from that page's request.
        way: `auto`, or one of `at_once`, `plan_then_fetch`, `script`; all give the same order.
        explain: every hit carries its moves.
        exposures: where what is shown is written down.
        request_id: of the exposures, and of experiments that cut by request; None: a new one.
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
    request = Request(
        index, body, user, segment, variant, at, surface, twiddlers, cursor, clock, key, request_id or uuid4().hex
    )  # fmt: skip
    steps = run_request(engine, request, Stores(actions, tastes, policies, experiments), way)
    return page_of(engine, drive(engine, steps), explain=explain, exposures=exposures)


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
    experiments: Trials | None = None,
) -> Rewritten:
    """The caller's own body, sorted by recommended, without running it.

    A plain field sort when no twiddler has anything to do; the downrank script when factors are all there is; else the
    interval script over the planned positions, exact up to the end of the page the body asks for.

    Raises:
        UsageError, IndexMissing, Refused, EngineUnreachable: as `recommended`.
    """
    request = Request(index, body, user, segment, variant, at, surface, twiddlers, None, datetime.now(UTC), None)
    audience = audience_of(engine)
    for last in (False, False, True):
        ready = prepare(request, audience, Stores(actions, tastes, policies, experiments))
        try:
            found = drive(engine, twiddlers_of(ready, surface)).twiddlers
            by = drive(engine, sorting(engine, ready, surface, found))
        except GenerationSwitched:
            audience.forget(index)
            if last:
                raise
            continue
        whole = ready.asked.body(by.sort, start=ready.asked.start, size=ready.asked.size)
        return Rewritten(ready.served.index, whole, ready.served, by.certificate, ready.flags)
    raise AssertionError("unreachable")
