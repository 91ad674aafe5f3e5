"""A shelf's verdicts on its items: what Spark counts and the tables know, as arrays for the judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from spark_jobs.history import clock, current_segments
from spark_jobs.lure_counts import EVERYBODY, lure_counts
from spark_jobs.lures.context import Traits
from spark_jobs.lures.judge import Items, Judge, Verdict, judge
from spark_jobs.lures.label_model import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from spark_jobs.lures.settings import LureSettings
    from spark_jobs.tables import Warehouse

DAY_US = 86_400 * 1_000_000


@dataclass(frozen=True)
class ShelfVerdicts:
    """Attributes:
    table: rows of `lures`.
    judged, lures: items, and how many of them are called lures.
    rules, trees, queue: as in `lure_files.LureFile`.
    """

    table: pa.Table
    judged: int
    lures: int
    rules: list[dict[str, Any]]
    trees: int
    queue: list[dict[str, Any]]


def shelf_verdicts(
    tables: Warehouse, run: str, *, kind: str, as_of: datetime, rule: LureSettings, labels: Mapping[str, int]
) -> ShelfVerdicts:
    """Judges every candidate of a shelf, and by their own clicks the segments of the families that the rule names.

    Args:
        tables: events, items, exposure_counts, item_features and user_segments of the run.
        run: its id.
        kind: of items.
        as_of: the clock.
        rule: the shelf's settings.
        labels: item → 1 lure, 0 honest, as operators have decided.
    """
    candidates = tables.read("item_features", run).where(F.col("item_kind") == kind).select("item_id", "list")
    if rule.follow == "off":
        ids = candidates.select("item_id").toArrow().sort_by("item_id")["item_id"]
        return _nothing(kind, ids)
    segments = None
    if rule.families:
        segments = current_segments(tables.read("user_segments", run), as_of)
        segments = segments.where(F.col("family").isin(*rule.families)).select("user_id", "segment")
    found = lure_counts(
        tables.read("events", run), candidates, tables.read("exposure_counts", run),
        kind=kind, as_of=as_of, settings=rule, segments=segments,
    ).toArrow()  # fmt: skip
    # Rows in the order of their ids: nothing depends on how they came.
    found = found.sort_by([("segment", "ascending"), ("item_id", "ascending")])
    of_everybody = pc.equal(found["segment"], EVERYBODY)
    everybody, own = found.filter(of_everybody), found.filter(pc.invert(of_everybody))
    age = (F.unix_micros(clock(as_of)) - F.unix_micros("created_at")) / DAY_US
    told = candidates.join(tables.read("items", run), "item_id", "left").select(
        "item_id", "list", "title", "brand_id", "price", age.alias("age_days"), "vector"
    )
    told = told.toArrow().sort_by("item_id").combine_chunks()
    ids = told["item_id"]
    judged = judge(_items(told, _counts(everybody), labels), rule)
    if judged is None:
        return _nothing(kind, ids)
    verdict = judged.verdict()
    parts = [_rows(kind, pa.array([EVERYBODY] * len(ids)), ids, verdict)]
    if own.num_rows:
        rows = pc.index_in(own["item_id"], ids.combine_chunks()).to_numpy().astype(np.int64)
        segment = judged.in_segment(rows, _counts(own, but=("impressions", "clicks")), strength=rule.segment_trials)
        parts.append(_rows(kind, own["segment"], own["item_id"], segment))
    lures = int((verdict.probability >= rule.threshold).sum())
    queue = _queue(judged, verdict, told, rule.queue)
    return ShelfVerdicts(pa.concat_tables(parts), len(ids), lures, judged.told(), judged.expected.trees, queue)


def _nothing(kind: str, ids: pa.ChunkedArray) -> ShelfVerdicts:
    verdict = Verdict(np.zeros(len(ids)), [""] * len(ids))
    return ShelfVerdicts(_rows(kind, pa.array([EVERYBODY] * len(ids)), ids, verdict), len(ids), 0, [], 0, [])


def _rows(kind: str, segment: Any, ids: Any, verdict: Verdict) -> pa.Table:
    columns = {
        "item_id": ids,
        "item_kind": pa.array([kind] * len(ids), pa.string()),
        "segment": segment.cast(pa.string()),
        "probability": verdict.probability,
        "reason": pa.array(verdict.reason, pa.string()),
    }
    return pa.table(columns)


def _counts(found: pa.Table, but: tuple[str, ...] = ()) -> dict[str, NDArray[np.float64]]:
    return {name: found[name].to_numpy() for name in found.column_names[2:] if name not in but}


def _items(told: pa.Table, counts: Mapping[str, NDArray[np.float64]], labels: Mapping[str, int]) -> Items:
    def codes(name: str) -> NDArray[np.int64]:
        code = told[name].combine_chunks().dictionary_encode().indices
        return np.asarray(pc.fill_null(code, -1).to_numpy(zero_copy_only=False), dtype=np.int64)

    def number(name: str) -> NDArray[np.float64]:
        return np.asarray(pc.fill_null(told[name].cast(pa.float64()), np.nan).to_numpy())

    vectors = None
    known = np.asarray(pc.is_valid(told["vector"]))
    if known.any():
        given = told["vector"].drop_null().combine_chunks()
        vectors = np.full((told.num_rows, len(given[0])), np.nan, dtype=np.float32)
        vectors[known] = given.flatten().to_numpy(zero_copy_only=False).reshape(len(given), -1)
    decided = [labels.get(item, UNKNOWN) for item in told["item_id"].to_pylist()]
    return Items(
        traits=Traits(codes("list"), codes("brand_id"), number("price"), number("age_days"), vectors),
        titles=told["title"].to_pylist(),
        counts=counts,
        labels=np.array(decided, dtype=np.int64),
    )


def _queue(judged: Judge, verdict: Verdict, told: pa.Table, size: int) -> list[dict[str, Any]]:
    seen = judged.items.counts["judged"]
    worst = np.lexsort((-seen, -judged.log_odds))
    worst = worst[judged.items.labels[worst] == UNKNOWN][:size]
    return [
        {"item": told["item_id"][i].as_py(), "title": told["title"][i].as_py(), "list": told["list"][i].as_py(),
         "probability": round(float(verdict.probability[i]), 4), "judged": int(seen[i]), "reason": verdict.reason[i]}
        for i in worst.tolist()
    ]  # fmt: skip
