"""The exposure log: what was shown, written at the moment of showing. It never fails the search it writes down.

Off-policy evaluation and A/B statistics stand on these rows: without the propensity of an explored place, what was
learnt from showing it is lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.engine.errors import IndexMissing
from es_ranking.query.audience import Served
from es_ranking.query.page import PageHit
from segments.errors import RankingError

KEYWORDS = ("request_id", "user_id", "item_id", "surface", "generation", "variant", "segment", "experiment", "team")
EXPOSURES_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "ts": {"type": "date"},
        **{name: {"type": "keyword"} for name in KEYWORDS},
        "position": {"type": "integer"},
        "places": {"type": "object", "enabled": False},
        "propensity": {"type": "double"},
        "forced": {"type": "boolean"},
        "epoch": {"type": "integer"},
        "share": {"type": "double"},
    },
}
"""Mapping of an index that takes exposures."""


@dataclass(frozen=True)
class Exposure:
    """One item shown to one user.

    Args:
        ts: when, UTC.
        position: final place in the list, from 1.
        places: place after each stage, from 1.
        propensity: with which exploration put the item where the rank field has it; None where nothing is recorded.
        forced: the variant was chosen by hand: leave it out of an experiment.
        experiment: that chose the variant; None: none did.
        epoch, share: of the experiment, see `es_ranking.experiments.document.Bucket`.
        team: variant whose pick it was, where two are interleaved.
    """

    ts: datetime
    request_id: str
    user_id: str | None
    item_id: str
    position: int
    places: dict[str, int]
    surface: str
    generation: str
    variant: str
    segment: str
    propensity: float | None
    forced: bool
    experiment: str | None = None
    epoch: int | None = None
    share: float | None = None
    team: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it is written."""
        return {**asdict(self), "ts": self.ts.isoformat()}


class ExposureLog(Protocol):
    """Takes exposures, a page at a time."""

    def write(self, batch: Sequence[Exposure]) -> None:
        """Writes all of them or raises a `RankingError`."""
        ...


class EngineExposureLog:
    """Exposures as documents of an index, which is made when it is missing. Sent twice, written once."""

    def __init__(self, engine: Engine, index: str) -> None:
        self.engine = engine
        self.index = index
        self._mapped = False

    def write(self, batch: Sequence[Exposure]) -> None:
        if not self._mapped:
            if not self.engine.exists(self.index):
                self.engine.create_index(self.index, {"mappings": EXPOSURES_MAPPING})
            else:
                # an index of an older version of es-ranking lacks some fields
                self.engine.put_mapping(self.index, EXPOSURES_MAPPING)
            self._mapped = True
        actions = [BulkAction(self.index, f"{one.request_id}:{one.item_id}", one.to_dict()) for one in batch]
        errors = self.engine.bulk(actions).errors
        if errors:
            raise RankingError(f"{len(errors)} exposures were refused: {errors[0].reason}", where=self.index)


class JsonLinesExposureLog:
    """Exposures as JSON lines appended to a file: one write a page, so that lines of two processes do not mix."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def write(self, batch: Sequence[Exposure]) -> None:
        lines = "".join(json.dumps(one.to_dict(), ensure_ascii=False) + "\n" for one in batch).encode()
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(handle, lines)
            finally:
                os.close(handle)
        except OSError as error:
            raise RankingError("cannot write exposures", where=str(self.path), hint=error.strerror) from error


def propensities(engine: Engine, served: Served, items: Sequence[str]) -> dict[str, float]:
    """Item → propensity, from the generation's reasons; items without one are left out."""
    try:
        documents = engine.mget(served.why_index, items, source=[f"ranks.{served.variant}.{served.segment}.propensity"])
    except IndexMissing:
        return {}
    found = {}
    for item, document in zip(items, documents, strict=True):
        ranks = (document or {}).get("ranks", {}).get(served.variant, {}).get(served.segment, {})
        if ranks.get("propensity") is not None:
            found[item] = float(ranks["propensity"])
    return found


def exposures_of(
    hits: Sequence[PageHit],
    served: Served,
    by_item: dict[str, float],
    *,
    ts: datetime,
    request_id: str,
    user: str | None,
    surface: str,
) -> list[Exposure]:
    """A page as exposures."""
    bucket = served.bucket if served.bucket is not None and served.bucket.experiment is not None else None
    return [
        Exposure(
            ts=ts,
            request_id=request_id,
            user_id=user,
            item_id=hit.item,
            position=hit.place,
            places=hit.places,
            surface=surface,
            generation=served.generation,
            variant=served.named,
            segment=served.segment,
            propensity=by_item.get(hit.item),
            forced=served.forced,
            experiment=None if bucket is None else bucket.experiment,
            epoch=None if bucket is None else bucket.epoch,
            share=None if bucket is None else bucket.share,
            team=hit.team,
        )
        for hit in hits
    ]
