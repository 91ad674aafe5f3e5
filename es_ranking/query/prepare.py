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
from es_ranking.twiddlers.downrank import DownrankSettings, penalties
from es_ranking.twiddlers.registry import TwiddlerSettings, chosen
from es_ranking.twiddlers.settings import Surface
from segments.errors import UsageError


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
        plain: recent actions were not to be had, so this list and its next pages go without.
    """

    asked: Asked
    served: Served
    target: str
    settings: tuple[TwiddlerSettings, ...]
    counts: Mapping[str, Mapping[str, int]]
    as_of: datetime
    spec: str
    flags: tuple[str, ...]
    plain: bool


def prepare(request: Request, audience: Audience, actions: ActionStore | None) -> Ready:
    """Checks the request, opens its cursor, resolves the user and reads his recent actions.

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
        return _continued(request, request.cursor, asked, settings, spec, actions)
    served = audience.resolve(
        request.index,
        user=request.user,
        segment=request.segment,
        variant=request.variant or surface.variant,
        experiment=surface.experiment,
    )
    as_of = request.at or request.now
    counts, flags = _counts(settings, request.user, as_of, actions)
    asked = _filtered(asked, settings, counts, surface.item_field)
    return Ready(asked, served, request.index, settings, counts, as_of, spec, served.flags + flags, bool(flags))


def _continued(
    request: Request,
    text: str,
    asked: Asked,
    settings: tuple[TwiddlerSettings, ...],
    spec: str,
    actions: ActionStore | None,
) -> Ready:
    if asked.start:
        raise UsageError("give a cursor or `from`, not both", where="query body")
    cursor = Cursor.open(text, spec=spec, now=request.now.timestamp(), key=request.key)
    if cursor.position + asked.size > request.surface.max_window:
        raise UsageError(f"page too deep: the window ends at {request.surface.max_window}", where="cursor")
    served = Served(cursor.alias, cursor.index, cursor.generation, cursor.segment, cursor.variant)
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=cursor.as_of)
    counts, flags = ({}, ("actions_unavailable",)) if cursor.plain else _counts(settings, request.user, as_of, actions)
    asked = _filtered(replace(asked, start=cursor.position), settings, counts, request.surface.item_field)
    return Ready(asked, served, cursor.index, settings, counts, as_of, spec, flags, bool(flags))


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
) -> tuple[Mapping[str, Mapping[str, int]], tuple[str, ...]]:
    downrank = next((one for one in settings if isinstance(one, DownrankSettings)), None)
    if downrank is None or user is None or actions is None:
        return {}, ()
    try:
        return actions.counts(user, as_of, timedelta(days=downrank.window_days)), ()
    except ActionsUnavailable:
        # a search that waits for its history, or fails without it, is worse than one that does without
        return {}, ("actions_unavailable",)


def next_cursor(ready: Ready, shown: int, *, now: datetime, lifetime: timedelta) -> Cursor:
    """The cursor after `shown` hits of this page."""
    served = ready.served
    return Cursor(
        alias=served.alias,
        index=served.index,
        generation=served.generation,
        segment=served.segment,
        variant=served.variant,
        as_of=milliseconds(ready.as_of),
        spec=ready.spec,
        position=ready.asked.start + shown,
        plain=ready.plain,
        expires=int((now + lifetime).timestamp()),
    )
