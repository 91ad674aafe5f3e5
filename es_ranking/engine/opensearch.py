"""The official OpenSearch client as a transport; the extra `[opensearch]` brings it."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from es_ranking.engine.transport import EngineConfig, NoAnswer, Reply, Request
from segments.errors import MissingExtra

try:
    from opensearchpy import ConnectionError as Unreachable
    from opensearchpy import ConnectionTimeout, JSONSerializer, OpenSearch, TransportError
except ImportError as error:
    raise MissingExtra.of("opensearch", "opensearch-py") from error

# The client warns of every failed try; we raise one error that says what to do.
logging.getLogger("opensearch").setLevel(logging.ERROR)


class _Json(JSONSerializer):
    """Answers are read several times as fast; half a character pair, which UTF-8 cannot hold, comes and goes as its
    JSON escape."""

    def loads(self, s: Any) -> Any:
        try:
            return orjson.loads(s)
        except ValueError:
            return super().loads(s)  # which takes halves, and raises the client's own error

    def dumps(self, data: Any) -> Any:
        text = super().dumps(data)
        return text.encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


class OpenSearchTransport:
    """`Transport` over `opensearch-py`."""

    def __init__(self, config: EngineConfig) -> None:
        certificates: dict[str, Any] = {"ca_certs": config.ca_certs} if config.ca_certs else {}
        self._client = OpenSearch(hosts=[config.url], max_retries=0, serializer=_Json(), **certificates)

    def send(self, request: Request) -> Reply:
        params = {**request.params, "request_timeout": request.timeout_seconds}
        body = self._lines(request.body) if isinstance(request.body, list) else request.body
        try:
            answer = self._client.transport.perform_request(
                request.method, request.path, params=params, headers=dict(request.headers), body=body
            )
        except Unreachable as error:
            raise NoAnswer(str(error.error), late=isinstance(error, ConnectionTimeout)) from error
        except TransportError as error:
            return Reply(int(error.status_code), error.info)
        # The client tells a HEAD's answer as yes or no.
        return Reply(404, None) if request.method == "HEAD" and not answer else Reply(200, answer)

    def close(self) -> None:
        self._client.close()

    def _lines(self, lines: list[Any]) -> bytes:
        dumps = self._client.transport.serializer.dumps
        return b"".join((line if isinstance(line, bytes) else dumps(line).encode()) + b"\n" for line in lines)
