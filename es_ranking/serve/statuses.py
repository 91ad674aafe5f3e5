"""From our errors to HTTP: the one table, and the one shape of a refusal (the engine's own, on one line)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from es_ranking.engine.errors import Conflict, EngineBusy, EngineDenied, EngineRejected, IndexMissing, RequestTooLarge
from es_ranking.engine.transport import json_bytes
from es_ranking.query.planning import GenerationSwitched
from segments.errors import ContractBroken, EngineUnreachable, RankingError, Refused, UsageError


class NotServed(UsageError):
    """A path or an index that this service does not answer for."""


class TooLarge(UsageError):
    """A body, a batch or a page beyond the service's limits."""


class Overloaded(RankingError):
    """More requests wait than the service takes."""


class TookTooLong(RankingError):
    """The service's own deadline passed."""


# The class nearest to the error's own counts; all others, and whatever is no error of ours, are 500.
STATUSES: dict[type[Exception], int] = {
    UsageError: 400,
    EngineRejected: 400,
    NotServed: 404,
    IndexMissing: 404,
    Refused: 409,
    Conflict: 409,
    TooLarge: 413,
    RequestTooLarge: 413,
    ContractBroken: 500,
    EngineDenied: 502,
    EngineUnreachable: 503,
    EngineBusy: 503,
    GenerationSwitched: 503,
    Overloaded: 503,
    TookTooLong: 504,
}
# What is not the caller's doing is told in one sentence; addresses and details are for the log alone.
TOLD = {
    500: "the service failed; its log says more",
    502: "the service may not ask the search engine; its log says more",
    503: "the search engine or a store cannot answer now; ask again shortly",
    504: "the request took too long",
}


def status_of(error: Exception) -> int:
    """The HTTP status of an error."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def refusal(error: Exception) -> Response:
    """An error as an answer: `{"error": {"type", "reason", "hint", "root_cause"}, "status"}`."""
    status = status_of(error)
    told: dict[str, Any] = {"type": _name(error), "reason": TOLD.get(status, ""), "hint": None}
    if status not in TOLD and isinstance(error, RankingError):
        told |= {"reason": f"{error.what} ({error.where})" if error.where else error.what, "hint": error.hint}
    # the engine's clients print the first of the root causes
    told["root_cause"] = [{"type": told["type"], "reason": told["reason"]}]
    return answer({"error": told, "status": status}, status, headers={"retry-after": "1"} if status == 503 else {})


def answer(
    data: dict[str, Any], status: int = 200, *, headers: dict[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:  # fmt: skip
    """JSON on one line."""
    return Response(json_bytes(data, str) + b"\n", status, headers=headers, media_type=media_type)


def _name(error: Exception) -> str:
    """`TooLarge` → `too_large`, as the engine names its own."""
    name = type(error).__name__ if isinstance(error, RankingError) else "Failed"
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
