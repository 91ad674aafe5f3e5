"""Times that people write on the command line: ISO, UTC where no zone is named."""

from __future__ import annotations

from datetime import UTC, datetime

from segments.errors import UsageError


def read_time(text: str, *, where: str) -> datetime:
    """An ISO time; without a zone it is UTC.

    Raises:
        UsageError: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"not a time: {text!r}", where=where, hint="2017-11-27T12:00:00") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def time_or_now(text: str | None, *, where: str) -> datetime:
    """The time as told, or now: for what people look at, never for what a job makes."""
    return datetime.now(UTC) if text is None else read_time(text, where=where)
