"""Publishing beside the engine's own bulk rate: a whole generation, then one in which a tenth of the items changed.

Block by block we and the engine write the same documents, taking turns, each to an index of its own with the same
mapping. Ours begins with rows and ends with checked answers; the engine's has its bodies made before the clock runs.
"""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from es_ranking.bench.shop import AS_OF, SETTINGS, Row, documents, own_alias, plan_of, rows, segment_names
from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.publish.begin import begin
from es_ranking.publish.delta import plan_delta
from es_ranking.publish.finish import finish
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.room import checked_space
from es_ranking.publish.write import WriteReport, write_documents
from segments.errors import Refused

_BLOCK, _LEAST_BLOCKS = 8_000, 10
_CHANGED_EVERY = 10
_NEXT_RUN = "20260101T010000"
# The generation, the engine's own index, and what changes in both.
_ROOM = 2.2


@dataclass
class _Timed:
    """Seconds of one publish; `ours` and `engine` by block."""

    begin: float = 0.0
    reading: float = 0.0
    switch: float = 0.0
    ours: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Everything but reading, which is the tables' business."""
        return self.begin + sum(self.ours) + self.switch

    def parts(self) -> dict[str, float]:
        return {
            "reading": round(self.reading, 3),
            "begin": round(self.begin, 3),
            "writing": round(sum(self.ours), 3),
            "switch": round(self.switch, 3),
            "engine_bulk": round(sum(self.engine), 3),
        }


def bench_publish(
    engine: Engine, *, docs: int, segments: int, on_stage: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Publishes `docs` items with a rank field for each of `segments`, then a tenth of them anew.

    Returns:
        Rates are documents a second of writing; `ratio_full` is ours over the engine's, the median of at least ten
        blocks; `ratio_delta_10pct` is the seconds of the second publish over those of the first, with creating or
        cloning, gates and switch, without reading; `seconds` has the parts.

    Raises:
        Refused: the engine has no room, or would not take a document.
    """
    names = segment_names(segments)
    with own_alias(engine) as alias:
        plan = plan_of(engine, alias, count=docs, segments=segments)
        checked_space(engine, round(_ROOM * plan.bytes_needed), SETTINGS)
        raw = f"{alias}-raw"
        engine.create_index(raw, plan.bodies[alias])
        on_stage("a whole generation")
        full = _publish(engine, plan, raw, range(docs), names, night=0)
        on_stage("a tenth of the items")
        changed = range(0, docs, _CHANGED_EVERY)
        tenth = plan_delta(engine, alias, run=_NEXT_RUN, as_of=AS_OF, written=len(changed), added=0, removed=0)
        delta = _publish(engine, tenth, raw, changed, names, night=1)
    return {
        "docs": docs,
        "segments": segments,
        "full_docs_per_second": round(docs / sum(full.ours), 1),
        "delta_docs_per_second": round(len(changed) / sum(delta.ours), 1),
        "engine_bulk_docs_per_second": round(docs / sum(full.engine), 1),
        "ratio_full": round(statistics.median(e / o for e, o in zip(full.engine, full.ours, strict=True)), 4),
        "ratio_delta_10pct": round(delta.total / full.total, 4),
        "seconds": {"full": full.parts(), "delta": delta.parts()},
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _publish(
    engine: Engine, plan: PublishPlan, raw: str, numbers: range, names: Sequence[str], *, night: int
) -> _Timed:
    timed, report = _Timed(), WriteReport()
    began = time.perf_counter()
    targets = begin(engine, plan)
    timed.begin = time.perf_counter() - began
    size = min(_BLOCK, -(-len(numbers) // _LEAST_BLOCKS))
    for turn, start in enumerate(range(0, len(numbers), size)):
        began = time.perf_counter()
        read = rows(numbers[start : start + size], names, night=night)
        timed.reading += time.perf_counter() - began
        batches = _made(raw, read)
        # Whoever goes first meets the merges the other has left: they change places.
        for ours in (True, False) if turn % 2 else (False, True):
            began = time.perf_counter()
            if ours:
                report = report.add(write_documents(engine, targets.main, documents(read), settings=SETTINGS))
                timed.ours.append(time.perf_counter() - began)
            else:
                _bulk(engine, batches)
                timed.engine.append(time.perf_counter() - began)
    began = time.perf_counter()
    finish(engine, plan, SETTINGS, report=report)
    timed.switch = time.perf_counter() - began
    return timed


def _made(raw: str, read: Sequence[Row]) -> list[list[BulkAction]]:
    made = [
        BulkAction(raw, item_id, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
        for item_id, document in documents(read)
    ]
    size = SETTINGS.batch_documents
    return [made[start : start + size] for start in range(0, len(made), size)]


def _bulk(engine: Engine, batches: Sequence[Sequence[BulkAction]]) -> None:
    for batch in batches:
        errors = engine.bulk(batch).errors
        if errors:
            raise Refused(f"the engine would not take {errors[0].id}: {errors[0].reason}", where=engine.url)
