"""One request, run: again where the generation is switched meanwhile, and without a policy that the engine refuses."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from weakref import WeakKeyDictionary

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineRejected, IndexMissing
from es_ranking.policy.live import NOTHING, UNAVAILABLE, GivenPolicy
from es_ranking.query.audience import Audience
from es_ranking.query.exposures import ExposureLog, exposures_of, propensities
from es_ranking.query.kept import kept_of
from es_ranking.query.page import Page, PageHit
from es_ranking.query.planning import GenerationSwitched
from es_ranking.query.prepare import Ready, Request, Stores, next_cursor, prepare
from es_ranking.query.steps import Steps
from es_ranking.query.ways import Run, run
from segments.errors import RankingError

log = logging.getLogger(__name__)
CURSOR_LIFETIME = timedelta(hours=1)
_TRIES = 3
_audiences: WeakKeyDictionary[Engine, Audience] = WeakKeyDictionary()


@dataclass(frozen=True)
class Answered:
    """A request with what was known of it and what it found."""

    request: Request
    ready: Ready
    done: Run


def run_request(engine: Engine, request: Request, stores: Stores, way: str) -> Steps[Answered]:
    """Runs, again when the generation is switched meanwhile, from the start when a cursor's generation is gone."""
    audience = audience_of(engine)
    restarted: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    for attempt in range(_TRIES):
        try:
            ready = prepare(request, audience, stores)
            ready = replace(ready, flags=restarted + ready.flags)
            campaigns = ready.wanted.campaigns
            kept = kept_of(engine).take(request.cursor) if request.cursor is not None else None
            if kept is not None and kept.without != ready.without:
                kept = None  # a store has gone down since: the page says so, and must be so
            done = yield from run(engine, ready, request.surface, way, kept)
            return Answered(request, ready, done)
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


def page_of(engine: Engine, answered: Answered, *, explain: bool, exposures: ExposureLog | None) -> Page:
    """The page, its exposures written down."""
    request, ready, done = answered.request, answered.ready, answered.done
    hits = tuple(
        PageHit(
            item=entry.hit.item_id,
            place=ready.asked.start + offset + 1,
            hit=raw,
            places=dict(entry.places),
            moves=tuple(entry.moves()) if explain else (),
            team=entry.team,
        )
        for offset, (entry, raw) in enumerate(zip(done.entries, done.raw, strict=True))
    )
    flags = list(ready.flags)
    if exposures is not None and hits:
        try:
            # how likely the draft puts an item where it stands, no night knows
            alone = ready.versus is None
            by_item = propensities(engine, ready.served, [hit.item for hit in hits]) if alone else {}
            shown = exposures_of(
                hits, ready.served, by_item, ts=request.now, request_id=request.request_id, user=request.user,
                surface=request.surface.name,
            )  # fmt: skip
            exposures.write(shown)
        except RankingError as error:
            log.warning("exposures are lost: %s", error)
            flags.append("exposures_lost")
    following = None
    if hits and not done.ended:
        # places, not hits: one that was deleted between plan and fetch must not shift the next page
        shown_to = next_cursor(ready, ready.asked.size, now=request.now, lifetime=CURSOR_LIFETIME)
        following = shown_to.seal(request.key)
        if done.kept is not None and not ready.asked.in_one:
            kept_of(engine).put(following, done.kept)
    return Page(
        hits=hits,
        response=done.response,
        index=ready.served.index,
        generation=ready.served.generation,
        segment=ready.served.segment,
        variant=ready.served.named,
        as_of=ready.as_of,
        certificate=done.certificate,
        way=done.way,
        flags=tuple(flags),
        cursor=following,
        requests=done.requests,
        policy=ready.policy,
        campaigns=ready.wanted.campaigns,
        overruled=ready.wanted.overruled + done.unshown,
        experiment=bucket.experiment if (bucket := ready.served.bucket) is not None else None,
    )


def audience_of(engine: Engine) -> Audience:
    return _audiences.setdefault(engine, Audience(engine))
