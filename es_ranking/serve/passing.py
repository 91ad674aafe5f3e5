"""Searches that are none of ours go to the engine byte for byte, and so does its answer back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlencode

import urllib3

from es_ranking.engine.transport import EngineConfig
from segments.errors import EngineUnreachable

FORWARDED = ("accept", "content-type")
RETURNED = ("content-type", "x-elastic-product", "warning")


@dataclass(frozen=True)
class Passed:
    """The engine's answer as it came."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Passing(Protocol):
    """The way to the engine for what is passed on."""

    def search(
        self, index: str, body: bytes, *, params: Sequence[tuple[str, str]] = (), headers: Mapping[str, str]
    ) -> Passed:
        """One `_search`, unread.

        Raises:
            EngineUnreachable: no answer came.
        """


class HttpPassing:
    """Over HTTP, with the service's own credentials and certificates; what the caller sent of these stays here."""

    def __init__(self, config: EngineConfig, *, connections: int = 16) -> None:
        self.url = config.url
        self._own = config.headers()
        self._pool = urllib3.PoolManager(
            maxsize=connections, timeout=config.timeout_seconds, retries=False, ca_certs=config.ca_certs
        )

    def search(
        self, index: str, body: bytes, *, params: Sequence[tuple[str, str]] = (), headers: Mapping[str, str]
    ) -> Passed:
        kept = {name: headers[name] for name in FORWARDED if name in headers}
        if body:
            kept.setdefault("content-type", "application/json")
        query = f"?{urlencode(params)}" if params else ""
        target = f"{self.url}/{quote(index, safe='')}/_search{query}"
        try:
            reply = self._pool.request("POST", target, body=body or None, headers={**kept, **self._own})
        except urllib3.exceptions.HTTPError as error:
            raise EngineUnreachable(f"the search engine does not answer: {type(error).__name__}") from error
        back = {name: reply.headers[name] for name in RETURNED if name in reply.headers}
        return Passed(reply.status, reply.data, back)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()
