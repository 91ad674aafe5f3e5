"""`/_health`: whether the engine answers, and how old the ranks are that it serves; the ages for `/metrics` too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from es_ranking.query.audience import Audience
from es_ranking.serve.service import Service
from es_ranking.serve.statuses import answer
from segments.errors import EngineUnreachable, RankingError


def health(service: Service) -> Response:
    """200 while every index has a generation, else 503; `age_hours` is the time since the run's clock."""
    try:
        version = service.engine.info().get("version", {}).get("number")
    except RankingError as error:
        raise EngineUnreachable(error.what, where=error.where) from error
    indices = {index: _generation(service, index) for index in service.settings.indices}
    well = all("generation" in one for one in indices.values())
    told = {"product": service.engine.product, "version": version}
    return answer({"status": "ok" if well else "unwell", "engine": told, "indices": indices}, 200 if well else 503)


def ages(service: Service) -> dict[str, float]:
    """Index → hours since the clock of the run it serves; one that serves nothing, or cannot be asked, is left out."""
    told = {index: _generation(service, index) for index in service.settings.indices}
    return {index: one["age_hours"] for index, one in told.items() if "age_hours" in one}


def _generation(service: Service, index: str) -> dict[str, Any]:
    try:
        meta = Audience(service.engine).serving(index).meta
        age = meta.age_hours(datetime.now(UTC))
    except RankingError as error:
        return {"problem": error.what}
    return {"generation": meta.generation, "as_of": meta.as_of, "age_hours": round(age, 2)}
