"""What can go wrong between us and the engine, in our words; the adapters translate their client's exceptions."""

from __future__ import annotations

from segments.errors import EngineUnreachable, RankingError, Refused, UsageError

__all__ = [
    "Conflict",
    "EngineBusy",
    "EngineDenied",
    "EngineRejected",
    "EngineUnreachable",
    "IndexMissing",
    "RequestTooLarge",
]


class IndexMissing(Refused):
    """The index or alias does not exist: exit code 3."""


class Conflict(Refused):
    """Somebody else changed it first, or it exists already: exit code 3."""


class EngineRejected(RankingError):
    """The engine understood the request and said no (a 4xx): exit code 1. Repeating it changes nothing."""


class RequestTooLarge(EngineRejected):
    """The request is larger than the engine accepts (413): a smaller one may pass."""


class EngineDenied(UsageError):
    """Wrong credentials, or a role without the privilege: exit code 2."""


class EngineBusy(RankingError):
    """The engine has more to do than it can take (429, 502, 503, 504), after our own retries: exit code 1."""
