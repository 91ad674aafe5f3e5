"""Searches that are awaited, for front ends on an event loop; the extra `[async]` brings what they need.

One class for every product: below the products' own clients there is the same HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from elastic_transport import AsyncTransport, ConnectionTimeout, JsonSerializer, TransportError
from elastic_transport.client_utils import url_to_node_config

from es_ranking.engine.contract import Answer, Body
from es_ranking.engine.rest import BUSY, PAUSES, lines_of, responses_of
from es_ranking.engine.translate import translated
from es_ranking.engine.transport import LINES, EngineConfig, json_bytes
from segments.errors import MissingExtra

# Dates and the like, as the clients that are not awaited write them.
_DEFAULT = JsonSerializer().default


class AwaitedSearches:
    """Sends searches from an event loop: several as one request, with the retries of `RestEngine`. Close it, or use
    it in `async with`.

    Raises:
        MissingExtra: aiohttp is not installed.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        node = url_to_node_config(config.url)
        if config.ca_certs:
            node = node.replace(ca_certs=config.ca_certs)
        try:
            self._transport = AsyncTransport([node], max_retries=0)
        except ValueError as error:
            raise MissingExtra.of("async", "aiohttp") from error
        self._headers = {**LINES, **config.headers()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def msearch(self, searches: Sequence[tuple[str, Body]]) -> list[Answer]:
        """An answer for each (index, body).

        Raises:
            RankingError: as `Engine.msearch`.
        """
        lines = [json_bytes(line, _DEFAULT) for line in lines_of(searches)]
        return responses_of(await self._sent(b"\n".join([*lines, b""])), searches)

    async def _sent(self, lines: bytes) -> Any:
        for pause in (*PAUSES, None):
            try:
                reply = await self._transport.perform_request(
                    "POST", "/_msearch", headers=self._headers, body=lines, request_timeout=self.config.timeout_seconds
                )
            except TransportError as error:
                if pause is None or isinstance(error, ConnectionTimeout):
                    raise translated(None, error.message, self.config.url) from error
            else:
                if reply.meta.status < 300:
                    return reply.body
                if pause is None or reply.meta.status not in BUSY:
                    raise translated(reply.meta.status, reply.body, "_msearch")
            await asyncio.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")
