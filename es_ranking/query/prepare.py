"""Everything a request needs to know before the engine is asked: who is served, his recent actions, the cursor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from es_ranking.actions.contract import ActionStore, ActionsUnavailable, milliseconds
from es_ranking.experiments.document import Bucket
from es_ranking.experiments.live import Trials
from es_ranking.policy.effective import Effective, Place, effective
from es_ranking.policy.live import NOTHING, UNAVAILABLE, Policies
from es_ranking.query.audience import Audience, Served
from es_ranking.query.body import Asked, Body, take_apart
from es_ranking.query.cursor import Cursor, spec_hash
from es_ranking.tastes.contract import Taste, TasteStore, TastesUnavailable
from es_ranking.twiddlers.downrank import WINDOW_DAYS, DownrankSettings, penalties
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.registry import TwiddlerSettings, chosen
from es_ranking.twiddlers.scripted import ScriptedSettings
from es_ranking.twiddlers.settings import PLAIN, Surface
from es_ranking.versions.live import Held
from segments.errors import UsageError
from segments.hashing import hash64

ACTIONS, TASTES = "actions_unavailable", "tastes_unavailable"
NOT_INTERLEAVED = "not_interleaved"


@dataclass(frozen=True)
class Request:
    """One request, as the caller put it; `recommended` says what the fields mean."""

    index: str
    body: Mapping[str, Any]
    user: str | None = None
    segment: str | None = None
    variant: str | None = None
    at: datetime | None = None
    surface: Surface = PLAIN
    twiddlers: Collection[str] | None = None
    cursor: str | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    key: bytes | None = None
    request_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Ready:
    """A request that can be run.

    Args:
        target: index or alias to ask: the concrete one when a cursor keeps to it.
        counts: recent actions of the user; empty where none count or the store is down.
        taste: what the user clicked; None where that is too little, or the store is down.
        without: flags of the stores that were not to be had, so this list and its next pages go without.
        policy: its version; 0: none.
        wanted: what the policy comes to for this request.
        versus: the same request, as the variant sees it that is interleaved with this one.
        coins: seed of that draft: the same for every page of a list, another for another user or time.
    """

    asked: Asked
    served: Served
    target: str
    settings: tuple[TwiddlerSettings, ...]
    counts: Mapping[str, Mapping[str, int]]
    taste: Taste | None
    as_of: datetime
    spec: str
    flags: tuple[str, ...]
    without: tuple[str, ...]
    policy: int
    wanted: Effective
    versus: Ready | None = None
    coins: int = 0


@dataclass(frozen=True)
class Stores:
    """What is known of users and wanted by merchandisers; None: nothing."""

    actions: ActionStore | None = None
    tastes: TasteStore | None = None
    policies: Policies | None = None
    experiments: Trials | None = None


def prepare(request: Request, audience: Audience, stores: Stores) -> Ready:
    """Checks the request, opens its cursor, resolves the user, reads the policy, his recent actions and his taste.

    Raises:
        UsageError: see `recommended`.
    """
    surface = request.surface
    asked = take_apart(request.body, max_window=surface.max_window)
    spec = spec_hash(
        [
            request.index, asked.spec, request.user, request.segment, request.variant,
            surface.model_dump(mode="json", include={"item_field", "twiddlers", "variants"}),
            None if request.twiddlers is None else sorted(request.twiddlers),
        ]
    )  # fmt: skip
    if request.at is not None and request.at.tzinfo is None:
        raise UsageError("`at` needs a time zone", hint="datetime.now(UTC)")
    if request.cursor is not None:
        return _continued(request, request.cursor, asked, spec, stores)
    bucket, flags = _bucket(request, audience, stores)
    served = audience.resolve(
        request.index,
        user=request.user,
        segment=request.segment,
        variant=request.variant,
        otherwise=surface.variant,
        bucket=bucket,
    )
    as_of = request.at or request.now
    if served.versus is not None and asked.in_one:
        if request.variant is not None:
            raise UsageError("collapse and knn cannot be interleaved", hint="one variant, or another query")
        # which hit stands for a group would be another one in each list
        served, flags = replace(served, versus=None, bucket=None), (*flags, NOT_INTERLEAVED)
    return _ready(request, stores, asked, replace(served, flags=flags + served.flags), request.index, as_of, spec)


def _bucket(request: Request, audience: Audience, stores: Stores) -> tuple[Bucket | None, tuple[str, ...]]:
    """What an experiment decides, unless the caller chose a variant."""
    if stores.experiments is None or request.variant is not None:
        return None, ()
    held = stores.experiments.current(audience.serving(request.index).meta.alias)
    bucket = held.document.bucket(request.surface.name, user=request.user, request=request.request_id)
    return bucket, (held.flag,) if held.flag else ()


def _continued(request: Request, text: str, asked: Asked, spec: str, stores: Stores) -> Ready:
    if asked.start:
        raise UsageError("give a cursor or `from`, not both", where="query body")
    cursor = Cursor.open(text, spec=spec, now=request.now.timestamp(), key=request.key)
    if cursor.position + asked.size > request.surface.max_window:
        raise UsageError(f"page too deep: the window ends at {request.surface.max_window}", where="cursor")
    served = Served(
        cursor.alias, cursor.index, cursor.generation, cursor.segment, cursor.variant, cursor.space,
        forced=cursor.forced, bucket=Bucket(*cursor.bucket) if cursor.bucket else None,
    )  # fmt: skip
    if cursor.versus:
        segment, variant = cursor.versus
        served = replace(served, versus=replace(served, segment=segment, variant=variant))
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=cursor.as_of)
    asked = replace(asked, start=cursor.position)
    return _ready(
        request, stores, asked, served, cursor.index, as_of, spec, without=cursor.without, policy=cursor.policy
    )


def _ready(
    request: Request, stores: Stores, asked: Asked, served: Served, target: str, as_of: datetime, spec: str, *,
    without: tuple[str, ...] = (), policy: int | None = None,
) -> Ready:  # fmt: skip
    """For the variant, and for the one that is interleaved with it: what is kept over the page is the first one's."""
    item_field = request.surface.item_field
    one = _of_variant(request, stores, asked, served, target, as_of, spec, without=without, policy=policy)
    if served.versus is None:
        return replace(one, asked=asked.without(_left_out(one, item_field)))
    other = _of_variant(
        request, stores, asked, served.versus, target, as_of, spec, without=one.without, policy=one.policy
    )
    if other.without != one.without:
        # a store has gone down between the two: both lists go without it, as their next pages will
        one = _of_variant(request, stores, asked, served, target, as_of, spec, without=other.without, policy=one.policy)
    settings = [each for each in other.settings if not each.of_the_page]
    settings += [each for each in one.settings if each.of_the_page and each.kind != "pins"]
    # what one of them leaves out, the page leaves out: one query finds the hits of both
    asked = asked.without([clause for each in (one, other) for clause in _left_out(each, item_field)])
    coins = hash64("interleave", served.named, request.user or "", str(milliseconds(as_of)))
    other = replace(other, asked=asked, settings=tuple(settings))
    return replace(one, asked=asked, versus=other, coins=coins)


def _of_variant(
    request: Request, stores: Stores, asked: Asked, served: Served, target: str, as_of: datetime, spec: str, *,
    without: tuple[str, ...], policy: int | None,
) -> Ready:  # fmt: skip
    """Asks the stores, except those that `without` flags; one that is down is flagged, never waited for.

    A later page keeps to the version of the policy, and to its campaigns as of the time, of the first one.

    A search that waits for its history, or fails without it, is worse than one that does without.
    """
    counts: Mapping[str, Mapping[str, int]] = {}
    taste: Taste | None = None
    found = list(without)
    held = Held(NOTHING)
    if stores.policies is not None and UNAVAILABLE not in without:
        ask = stores.policies
        held = ask.current(served.alias) if policy is None else ask.version(served.alias, policy)
        found += [held.flag] if held.flag == UNAVAILABLE else []
    surface = request.surface
    wanted = effective(held.document, Place(as_of, surface.name, served.variant, served.segment, asked.required))
    settings = chosen(wanted.joined(surface.twiddlers_of(served.variant)), request.twiddlers)
    if ACTIONS not in without:
        try:
            counts = _counts(settings, request.user, as_of, stores.actions)
        except ActionsUnavailable:
            found.append(ACTIONS)
    if TASTES not in without:
        try:
            taste = _taste(settings, request.user, served, as_of, stores.tastes)
        except TastesUnavailable:
            found.append(TASTES)
    flags = served.flags + tuple(found) + ((held.flag,) if held.flag and held.flag not in found else ())
    return Ready(asked, served, target, settings, counts, taste, as_of, spec, flags, tuple(found), held.version, wanted)


def _left_out(ready: Ready, item_field: str) -> list[Body]:
    """The filter stage: what is excluded leaves the query itself, so that totals and aggregations agree."""
    clauses = [rule.clause(item_field) for rule in ready.wanted.exclusions]
    left_out = [
        item
        for one in ready.settings
        if isinstance(one, DownrankSettings) and any(degree.exclude for degree in one.actions.values())
        for item, penalty in penalties(ready.counts, one).items()
        if penalty.excluded
    ]
    if left_out:
        clauses.append({"terms": {item_field: sorted(left_out)}})
    return clauses


def _counts(
    settings: tuple[TwiddlerSettings, ...], user: str | None, as_of: datetime, actions: ActionStore | None
) -> Mapping[str, Mapping[str, int]]:
    windows = [one.window_days for one in settings if isinstance(one, DownrankSettings)]
    windows += [WINDOW_DAYS for one in settings if isinstance(one, ScriptedSettings) and one.counts]
    if not windows or user is None or actions is None:
        return {}
    return actions.counts(user, as_of, timedelta(days=windows[0]))


def _taste(
    settings: tuple[TwiddlerSettings, ...], user: str | None, served: Served, as_of: datetime, tastes: TasteStore | None
) -> Taste | None:
    personal = next((one for one in settings if isinstance(one, PersonalSettings)), None)
    if personal is None or user is None or not served.space or tastes is None:
        return None
    return personal.graduated(tastes.taste(served.space, user, as_of, segment=served.segment))


def next_cursor(ready: Ready, shown: int, *, now: datetime, lifetime: timedelta) -> Cursor:
    """The cursor after `shown` hits of this page."""
    served = ready.served
    return Cursor(
        alias=served.alias,
        index=served.index,
        generation=served.generation,
        segment=served.segment,
        variant=served.variant,
        space=served.space,
        as_of=milliseconds(ready.as_of),
        spec=ready.spec,
        position=ready.asked.start + shown,
        without=ready.without,
        expires=int((now + lifetime).timestamp()),
        policy=ready.policy,
        forced=served.forced,
        bucket=astuple(served.bucket) if served.bucket is not None else (),
        versus=(served.versus.segment, served.versus.variant) if served.versus is not None else (),
    )
