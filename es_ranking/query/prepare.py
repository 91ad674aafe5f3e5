"""Everything a request needs to know before the engine is asked: who is served, his recent actions, the cursor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from es_ranking.actions.contract import ActionStore, ActionsUnavailable, milliseconds
from es_ranking.query.audience import Audience, Served
from es_ranking.query.body import Asked, take_apart
from es_ranking.query.cursor import Cursor, spec_hash
from es_ranking.tastes.contract import Taste, TasteStore, TastesUnavailable
from es_ranking.twiddlers.downrank import DownrankSettings, penalties
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.registry import TwiddlerSettings, chosen
from es_ranking.twiddlers.settings import Surface
from segments.errors import UsageError

ACTIONS, TASTES = "actions_unavailable", "tastes_unavailable"


@dataclass(frozen=True)
class Request:
    """One request, as the caller put it."""

    index: str
    body: Mapping[str, Any]
    user: str | None
    segment: str | None
    variant: str | None
    at: datetime | None
    surface: Surface
    twiddlers: Collection[str] | None
    cursor: str | None
    now: datetime
    key: bytes | None


@dataclass(frozen=True)
class Ready:
    """A request that can be run.

    Args:
        target: index or alias to ask: the concrete one when a cursor keeps to it.
        counts: recent actions of the user; empty where none count or the store is down.
        taste: what the user clicked; None where that is too little, or the store is down.
        without: flags of the stores that were not to be had, so this list and its next pages go without.
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


@dataclass(frozen=True)
class Stores:
    """What is known of users beside the engine; None: nothing."""

    actions: ActionStore | None = None
    tastes: TasteStore | None = None


def prepare(request: Request, audience: Audience, stores: Stores) -> Ready:
    """Checks the request, opens its cursor, resolves the user, reads his recent actions and his taste.

    Raises:
        UsageError: see `recommended`.
    """
    surface = request.surface
    settings = chosen(surface.twiddlers, request.twiddlers)
    asked = take_apart(request.body, max_window=surface.max_window)
    spec = spec_hash(
        [
            request.index, asked.spec, request.user, request.segment, request.variant, surface.item_field,
            [one.model_dump(mode="json") for one in settings],
        ]
    )  # fmt: skip
    if request.at is not None and request.at.tzinfo is None:
        raise UsageError("`at` needs a time zone", hint="datetime.now(UTC)")
    if request.cursor is not None:
        return _continued(request, request.cursor, asked, settings, spec, stores)
    served = audience.resolve(
        request.index,
        user=request.user,
        segment=request.segment,
        variant=request.variant or surface.variant,
        experiment=surface.experiment,
    )
    as_of = request.at or request.now
    return _ready(request, stores, asked, served, request.index, settings, as_of, spec, without=())


def _continued(
    request: Request,
    text: str,
    asked: Asked,
    settings: tuple[TwiddlerSettings, ...],
    spec: str,
    stores: Stores,
) -> Ready:
    if asked.start:
        raise UsageError("give a cursor or `from`, not both", where="query body")
    cursor = Cursor.open(text, spec=spec, now=request.now.timestamp(), key=request.key)
    if cursor.position + asked.size > request.surface.max_window:
        raise UsageError(f"page too deep: the window ends at {request.surface.max_window}", where="cursor")
    served = Served(cursor.alias, cursor.index, cursor.generation, cursor.segment, cursor.variant, cursor.space)
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=cursor.as_of)
    asked = replace(asked, start=cursor.position)
    return _ready(request, stores, asked, served, cursor.index, settings, as_of, spec, without=cursor.without)


def _ready(
    request: Request, stores: Stores, asked: Asked, served: Served, target: str,
    settings: tuple[TwiddlerSettings, ...], as_of: datetime, spec: str, *, without: tuple[str, ...],
) -> Ready:  # fmt: skip
    """Asks the stores, except those that `without` flags; one that is down is flagged, never waited for.

    A search that waits for its history, or fails without it, is worse than one that does without.
    """
    counts: Mapping[str, Mapping[str, int]] = {}
    taste: Taste | None = None
    found = list(without)
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
    asked = _filtered(asked, settings, counts, request.surface.item_field)
    flags = served.flags + tuple(found)
    return Ready(asked, served, target, settings, counts, taste, as_of, spec, flags, tuple(found))


def _filtered(
    asked: Asked, settings: tuple[TwiddlerSettings, ...], counts: Mapping[str, Mapping[str, int]], item_field: str
) -> Asked:
    """The filter stage: what downrank excludes leaves the query itself, so that totals and aggregations agree."""
    left_out = [
        item
        for one in settings
        if isinstance(one, DownrankSettings)
        for item, penalty in penalties(counts, one).items()
        if penalty.excluded
    ]
    return asked.without(item_field, left_out) if left_out else asked


def _counts(
    settings: tuple[TwiddlerSettings, ...], user: str | None, as_of: datetime, actions: ActionStore | None
) -> Mapping[str, Mapping[str, int]]:
    downrank = next((one for one in settings if isinstance(one, DownrankSettings)), None)
    if downrank is None or user is None or actions is None:
        return {}
    return actions.counts(user, as_of, timedelta(days=downrank.window_days))


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
    )
