"""The ASGI application: routes, limits, one line a refusal, and what is logged and counted of every request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from es_ranking.serve.caller import Caller
from es_ranking.serve.event_log import EventLog
from es_ranking.serve.health import ages, health
from es_ranking.serve.recording import record
from es_ranking.serve.searching import search
from es_ranking.serve.service import Service
from es_ranking.serve.statuses import NotServed, TookTooLong, TooLarge, refusal
from segments.errors import RankingError, UsageError

log = logging.getLogger(__name__)
Work = Callable[[Request], Awaitable[Response]]
LOOK_SECONDS = 5.0


def build_app(service: Service) -> Starlette:
    """The application of one service; any ASGI server runs it."""

    async def searched(request: Request) -> Response:
        caller = Caller.of(request.headers.raw, request.query_params.multi_items())
        raw = await read(request, service)
        index = request.path_params["index"]
        return await service.pool.run(partial(search, service, index, raw, caller, request.headers))

    async def recorded(request: Request) -> Response:
        raw = await read(request, service)
        return await service.pool.run(partial(record, service, raw))

    async def looked_at(_: Request) -> Response:
        return await service.pool.run(partial(health, service))

    async def measured(_: Request) -> Response:
        try:
            old = await service.pool.run(partial(ages, service))
        except RankingError:
            old = {}  # what the service counts is told when it is overloaded, too
        return PlainTextResponse(service.metrics.text(old), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[
            Route("/_events", _answered(service, "events", recorded), methods=["POST"]),
            Route("/_health", _answered(service, "health", looked_at), methods=["GET"]),
            Route("/metrics", _answered(service, "metrics", measured), methods=["GET"]),
            Route("/{index}/_search", _answered(service, "search", searched), methods=["GET", "POST"]),
        ],
        exception_handlers={HTTPException: _nowhere},
        lifespan=partial(_alive, service),
    )


async def read(request: Request, service: Service) -> bytes:
    """The body, as long as it may be and as slow as it may come.

    Raises:
        TooLarge, TookTooLong, UsageError: it is longer, slower, or compressed.
    """
    most = service.settings.body_bytes
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UsageError("bodies are not taken compressed", where="content-encoding")
    chunks, length = [], 0
    try:
        async with asyncio.timeout(service.settings.timeout_seconds):
            async for chunk in request.stream():
                length += len(chunk)
                if length > most:
                    raise TooLarge(f"the body is longer than {most} bytes")
                chunks.append(chunk)
    except TimeoutError as error:
        raise TookTooLong("the body took too long to come") from error
    return b"".join(chunks)


def _answered(service: Service, route: str, work: Work) -> Work:
    """Turns every failure into its answer; logs and counts by route, never by what a caller wrote."""

    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        try:
            response = await work(request)
        except RankingError as error:
            response = refusal(error)
            if response.status_code >= 500:
                log.warning("%s: %s", route, error)
        except ClientDisconnect:
            response = Response(status_code=499)
        except Exception as error:
            log.exception("%s: a mistake of the service", route)
            response = refusal(error)
        seconds = time.perf_counter() - started
        service.metrics.count("es_ranking_requests_total", route=route, status=str(response.status_code))
        service.metrics.took(route, seconds)
        log.info("%s %s %d %.1f ms", request.method, route, response.status_code, seconds * 1e3)
        return response

    return endpoint


async def _nowhere(_: Request, error: Exception) -> Response:
    told = refusal(NotServed("no such path or method", hint="/{index}/_search, /_events, /_health, /metrics"))
    if isinstance(error, HTTPException) and error.status_code == 405:
        told.headers.update(error.headers or {})
    return told


@asynccontextmanager
async def _alive(service: Service, _: Starlette) -> AsyncIterator[None]:
    rolling = asyncio.create_task(_roll(service.events)) if service.events is not None else None
    try:
        yield
    finally:
        if rolling is not None:
            rolling.cancel()
            with suppress(asyncio.CancelledError):
                await rolling
        service.pool.close()
        if service.events is not None:
            service.events.close()


async def _roll(events: EventLog) -> None:
    while True:
        await asyncio.sleep(min(LOOK_SECONDS, events.roll_seconds))
        try:
            await asyncio.to_thread(events.roll_if_due)
        except Exception:
            # a disk that is full now may not be later
            log.exception("a file of events could not be finished")
