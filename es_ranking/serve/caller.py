"""Who asks, for which page: headers `x-es-ranking-user`, or the same as parameters `es_ranking.user`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from es_ranking.twiddlers.registry import TWIDDLERS
from segments.errors import UsageError

HEADER, PARAMETER = "x-es-ranking-", "es_ranking."
NAMES = (
    "user", "surface", "segment", "variant", "cursor", "at", "without", "floor", "explain", "request-id",
)  # fmt: skip
LONGEST = {"cursor": 4096}
LONG = 512


@dataclass(frozen=True)
class Caller:
    """What a request says beside its body. Everything may be left out.

    Args:
        user, segment, variant: whose list; see `recommended`.
        surface: a name the service was started with.
        cursor: of the page before.
        at: recent actions before this time, and campaigns as of it.
        without: twiddlers switched off.
        floor: share of the best hit's relevance that typed text asks for.
        explain: tell the moves of every hit.
        request_id: of exposures and events; a new one otherwise.
        others: the engine's own parameters.
    """

    user: str | None = None
    surface: str | None = None
    segment: str | None = None
    variant: str | None = None
    cursor: str | None = None
    at: datetime | None = None
    without: tuple[str, ...] = ()
    floor: float | None = None
    explain: bool = False
    request_id: str | None = None
    others: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]], parameters: Iterable[tuple[str, str]]) -> Self:
        """Reads both; a parameter wins over the header of that name.

        Raises:
            UsageError: an unknown name of ours, a value that is too long or cannot be meant.
        """
        others, given = [], {}
        for raw, value in headers:
            name = raw.decode("latin-1").lower()
            if name.startswith(HEADER):
                given[name.removeprefix(HEADER)] = _text(value, name)
        for name, text in parameters:
            if name.startswith(PARAMETER):
                given[name.removeprefix(PARAMETER).replace("_", "-")] = text
            else:
                others.append((name, text))
        for name, text in given.items():
            if name not in NAMES:
                raise UsageError.unknown("name", name, NAMES, where=f"headers {HEADER}…, parameters {PARAMETER}…")
            if len(text) > LONGEST.get(name, LONG):
                raise UsageError(f"longer than {LONGEST.get(name, LONG)} characters", where=name)
        return cls(
            **{name: given.get(name) or None for name in ("user", "surface", "segment", "variant", "cursor")},
            at=_time(given.get("at")),
            without=_twiddlers(given.get("without", "")),
            floor=_share(given.get("floor")),
            explain=_yes(given.get("explain", "false")),
            request_id=given.get("request-id") or None,
            others=tuple(others),
        )


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("a header of ours is UTF-8", where=name) from error


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"not a time: {text!r}", where="at", hint="2017-11-27T12:00:00Z") from error
    # room on both sides for time zones and windows of actions
    if not 1970 < time.year < 9000:
        raise UsageError(f"not a time of this service: {text!r}", where="at")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _twiddlers(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in TWIDDLERS:
            raise UsageError.unknown("twiddler", name, TWIDDLERS, where="without")
    return names


def _share(text: str | None) -> float | None:
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"not a share from 0 to below 1: {text!r}", where="floor")
    return share


def _yes(text: str) -> bool:
    if text.lower() not in {"true", "false", ""}:
        raise UsageError(f"true or false, not {text!r}", where="explain")
    return text.lower() == "true"
