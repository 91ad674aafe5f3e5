"""The official Elasticsearch client (8.19, which serves 8.x and 9.x servers) as a transport."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from elasticsearch import ApiError, ConnectionTimeout, Elasticsearch, TransportError
from elasticsearch.serializer import JsonSerializer, NdjsonSerializer, Serializer

from es_ranking.engine.transport import EngineConfig, NoAnswer, Reply, Request, json_bytes

# The client warns of every failed try; we raise one error that says what to do.
logging.getLogger("elastic_transport.node_pool").setLevel(logging.ERROR)


class _Json(JsonSerializer):
    """Answers are read several times as fast; half a character pair, which UTF-8 cannot hold, comes and goes as its
    JSON escape."""

    def json_loads(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except ValueError:
            return super().json_loads(data)  # which takes halves, and raises the client's own error

    def json_dumps(self, data: Any) -> bytes:
        return json_bytes(data, self.default)


class _Lines(_Json, NdjsonSerializer):
    """The same, line by line."""


SERIALIZERS: dict[str, Serializer] = {_Json.mimetype: _Json(), NdjsonSerializer.mimetype: _Lines()}


class ElasticsearchTransport:
    """`Transport` over `elasticsearch`."""

    def __init__(self, config: EngineConfig) -> None:
        certificates: dict[str, Any] = {"ca_certs": config.ca_certs} if config.ca_certs else {}
        self._client = Elasticsearch(config.url, max_retries=0, serializers=SERIALIZERS, **certificates)
        self._patient: dict[float, Elasticsearch] = {}

    def send(self, request: Request) -> Reply:
        try:
            answer = self._within(request.timeout_seconds).perform_request(
                request.method, request.path, params=request.params, headers=request.headers, body=request.body
            )
        except ApiError as error:
            return Reply(error.meta.status, error.body)
        except TransportError as error:
            raise _no_answer(error) from error
        return Reply(answer.meta.status, answer.body)

    def _within(self, seconds: float) -> Elasticsearch:
        """The client with a time-out, of which there are few: making one makes all of its forty namespaces."""
        found = self._patient.get(seconds)
        if found is None:
            found = self._patient[seconds] = self._client.options(request_timeout=seconds)
        return found

    def greeting(self, request: Request) -> Reply:
        """As `send`, below the client's own product check: whoever listens there may say who he is."""
        try:
            answer = self._client.transport.perform_request(
                request.method, request.path, headers=request.headers, request_timeout=request.timeout_seconds,
                max_retries=0,
            )  # fmt: skip
        except TransportError as error:
            raise _no_answer(error) from error
        return Reply(answer.meta.status, answer.body)

    def close(self) -> None:
        self._client.close()


def _no_answer(error: TransportError) -> NoAnswer:
    # printed, some of the client's errors leave out what went wrong
    return NoAnswer(error.message, late=isinstance(error, ConnectionTimeout))
