"""The door to a search engine: one request, one reply. Each client library is one of these, and nothing more."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

PRODUCTS = {"elasticsearch": "Elasticsearch", "opensearch": "OpenSearch"}
JSON = {"accept": "application/json", "content-type": "application/json"}
LINES = {"accept": "application/json", "content-type": "application/x-ndjson"}


def json_bytes(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """JSON in UTF-8; half a character pair, which UTF-8 cannot hold, goes as its JSON escape."""
    text = json.dumps(value, default=default, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class EngineConfig:
    """Everything needed to connect: plain values, so that another process can build the same engine.

    Attributes:
        url: `http(s)://host:port`; credentials in it are not allowed, they would end in logs.
        ca_certs: file with the certificates that the server's must be signed by.
        timeout_seconds: limit of one request.
        opaque_id: shown in the server's slow log and task list.
        product: `elasticsearch` or `opensearch`: which client speaks to it.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_certs: str | None = None
    timeout_seconds: float = 30.0
    opaque_id: str = "es-ranking"
    product: str = "elasticsearch"

    def headers(self) -> dict[str, str]:
        """Who asks, and on whose behalf: what every request carries. Holds the secrets: do not print it."""
        found = {"x-opaque-id": self.opaque_id}
        if self.api_key:
            found["authorization"] = f"ApiKey {self.api_key}"
        elif self.username:
            pair = b64encode(f"{self.username}:{self.password or ''}".encode()).decode("ascii")
            found["authorization"] = f"Basic {pair}"
        return found


@dataclass(frozen=True)
class Request:
    """One request; a body that is a list goes as lines, of which bytes are JSON already."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  # they hold the secrets
    timeout_seconds: float
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | list[Mapping[str, Any] | bytes] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Reply:
    """A status and its body, as far as the client could read it."""

    status: int
    body: Any


def quoted(name: str) -> str:
    """A name as one part of a path; lists and patterns of names, and ids of tasks, stay what they are."""
    # Half a character pair names nothing; the engine says so.
    return quote(name, safe=",*:", errors="surrogatepass")


class NoAnswer(Exception):
    """No reply came: nobody listens, the connection was cut, or (`late`) the time ran out."""

    def __init__(self, why: str, *, late: bool) -> None:
        super().__init__(why)
        self.late = late


class Transport(Protocol):
    """One client library. It sends once and judges nothing: statuses, retries and errors are the engine's business."""

    def send(self, request: Request) -> Reply:
        """Sends it.

        Raises:
            NoAnswer: no reply came.
        """

    def close(self) -> None:
        """Closes the connections."""
