"""From an engine's answer to one of our errors: one place decides what a status means."""

from __future__ import annotations

from typing import Any

from es_ranking.engine.errors import (
    Conflict,
    EngineBusy,
    EngineDenied,
    EngineRejected,
    EngineUnreachable,
    IndexMissing,
    RequestTooLarge,
)
from segments.errors import RankingError

START_HINT = "start one with `es-ranking node start`, or set ES_URL"
_KINDS: dict[int, tuple[type[RankingError], str]] = {
    401: (EngineDenied, "set ES_API_KEY, or ES_USERNAME and ES_PASSWORD"),
    403: (EngineDenied, "the role lacks this privilege (es-ranking roles show), or the disk is full"),
    404: (IndexMissing, "publish it first, or look at `es-ranking generations`"),
    409: (Conflict, "somebody else works on the same; look at `es-ranking generations` and run again"),
    413: (RequestTooLarge, "send smaller requests: lower publish.batch_megabytes"),
    429: (EngineBusy, "the engine is overloaded; run again later"),
    502: (EngineBusy, "a proxy cannot reach the engine; run again later"),
    503: (EngineBusy, "the engine is not ready (no master or shards not started); run again later"),
    504: (EngineBusy, "a proxy gave up waiting for the engine; run again later"),
}
# What the TLS library says when no connection comes about, in lower case, and what to do then.
_HANDSHAKES = {
    "certificate verify failed": "ES_CA_CERTS must name the authority that signed the server's certificate",
    "wrong version number": "it speaks no TLS: ES_URL must begin with http://",
    "record layer failure": "it speaks no TLS: ES_URL must begin with http://",
    "closed connection without response": "if it speaks TLS, ES_URL must begin with https://",
}


def translated(status: int | None, answer: Any, where: str) -> RankingError:
    """The error of ours for a status and its body; `status` None means that no answer came."""
    if status is None:
        first = str(answer).partition("\n")[0].partition(", caused by")[0][:300]
        cure = next((cure for words, cure in _HANDSHAKES.items() if words in first.lower()), START_HINT)
        return EngineUnreachable(f"the search engine does not answer: {first}", where=where, hint=cure)
    reason = reason_of(answer)
    if "resource_already_exists" in reason:
        return Conflict(f"it exists already: {reason}", where=where, hint=_KINDS[409][1])
    kind, hint = _KINDS.get(status, (EngineRejected, None))
    return kind(f"the engine answered {status}: {reason}", where=where, hint=hint)


def reason_of(answer: Any) -> str:
    """The one sentence in an error body that says what is wrong: the root cause, down to the script's own message."""
    error = answer.get("error") if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return " ".join(str(error or "no reason given").split())[:400]
    cause = (error.get("root_cause") or [error])[0]
    failed = error.get("failed_shards") or []
    deepest = failed[0].get("reason", cause) if failed else cause
    while isinstance(deepest.get("caused_by"), dict):
        deepest = deepest["caused_by"]
    told = f"{cause.get('type', 'error')}: {cause.get('reason', '')}"
    if deepest is not cause and deepest.get("reason") and deepest.get("reason") not in told:
        told += f" ({deepest['reason']})"
    # It may quote the query: half a character pair could not be logged.
    return " ".join(told.split())[:600].encode("utf-8", "backslashreplace").decode()
