"""`/{index}/_search`: passed on as it came, or planned and answered in the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from es_ranking.query.page import Page
from es_ranking.query.recommended import recommended
from es_ranking.serve.body import parse
from es_ranking.serve.caller import Caller
from es_ranking.serve.floor import MIN_SCORE, floored, joined, parted
from es_ranking.serve.service import Service
from es_ranking.serve.statuses import NotServed, answer
from es_ranking.twiddlers.registry import TWIDDLERS
from segments.errors import UsageError

COMPATIBLE = "application/vnd.elasticsearch+json"


def search(service: Service, index: str, raw: bytes, caller: Caller, headers: Mapping[str, str]) -> Response:
    """One search, in a thread.

    Raises:
        RankingError: what `statuses` turns into an answer.
    """
    if index not in service.settings.indices:
        raise NotServed(f"{index[:100]!r} is not served here", hint=f"served: {', '.join(service.settings.indices)}")
    surface = service.surface(caller.surface)
    parsed = parse(raw, caller.others, deepest=service.settings.deepest, item_field=surface.item_field)
    if not parsed.recommended:
        if caller.cursor is not None:
            raise UsageError("a cursor needs the sort it came from", where="cursor", hint='"sort": "recommended"')
        passed = service.passing.search(index, raw, params=caller.others, headers=headers)
        service.metrics.count("es_ranking_searches_total", way="passed_on")
        return Response(passed.body, passed.status, headers=dict(passed.headers))
    page, body, request_id = _planned(service, index, parsed.body, caller)
    service.metrics.count("es_ranking_searches_total", way=page.way)
    for flag in page.flags:
        service.metrics.count("es_ranking_flags_total", flag=flag)
    block = told(page, explain=caller.explain)
    more = page.hits and page.hits[-1].place < service.settings.deepest
    block |= {
        "cursor": joined(page.cursor, body.get(MIN_SCORE)) if more else None,
        "surface": caller.surface or service.settings.surface,
        "request_id": request_id,
    }
    accepted = headers.get("accept", "")
    return answer(
        {**page.response, "es_ranking": block},
        # the official clients ask whom they speak to, and in which version of its JSON
        headers={"x-elastic-product": "Elasticsearch"} if service.engine.product == "elasticsearch" else {},
        media_type=accepted if accepted.startswith(COMPATIBLE) else "application/json",
    )


def _planned(service: Service, index: str, body: dict[str, Any], caller: Caller) -> tuple[Page, dict[str, Any], str]:
    if caller.cursor is None:
        share = service.settings.text_floor if caller.floor is None else caller.floor
        body = floored(service.engine, index, body, share)
    else:
        text, floor = parted(caller.cursor)
        caller = replace(caller, cursor=text)
        body = body if floor is None else {**body, MIN_SCORE: floor}
    request_id = caller.request_id or uuid4().hex
    page = recommended(
        service.engine,
        index,
        body,
        user=caller.user,
        segment=caller.segment,
        variant=caller.variant,
        at=caller.at,
        surface=service.surface(caller.surface),
        twiddlers=[name for name in TWIDDLERS if name not in caller.without],
        actions=service.actions if caller.user else None,
        tastes=service.tastes if caller.user else None,
        policies=service.policies,
        experiments=service.experiments,
        cursor=caller.cursor,
        explain=caller.explain,
        exposures=service.exposures,
        request_id=request_id,
        key=service.key,
    )
    return page, body, request_id


def told(page: Page, *, explain: bool) -> dict[str, Any]:
    """The block beside the engine's own answer; its keys are stable."""
    whole = page.to_dict()
    block = {key: value for key, value in whole.items() if key not in {"hits", "total", "index"}}
    if explain:
        block["hits"] = [{key: value for key, value in hit.items() if key != "source"} for hit in whole["hits"]]
    return block
