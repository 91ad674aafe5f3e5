"""What ranks without a model: past sales, and past clicks over impressions, as of the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.history import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pyspark.sql import DataFrame

    from spark_jobs.tables import Warehouse

SALES_DAYS = 28
PRIOR_IMPRESSIONS = 1000.0


def sales(tables: Warehouse, run: str, *, as_of: datetime, kind: str, items: DataFrame) -> DataFrame:
    """Existing logic A: purchase lines (for banners: clicks) of the last 28 days, as n + ½ over the largest + 1.

    Args:
        tables: where `events` stands.
        run: whose table.
        as_of: nothing at or after it counts.
        kind: of item.
        items: candidates, column `item_id`.

    Returns:
        `item_id` and `pctr` of every candidate.
    """
    events = tables.read("events", run).where(
        (F.col("item_kind") == kind)
        & (F.col("kind") == ("purchase" if kind == "product" else "click"))
        & (F.col("ts") >= clock(as_of - timedelta(days=SALES_DAYS)))
        & (F.col("ts") < clock(as_of))
    )
    sold = events.groupBy("item_id").agg(F.count(F.lit(1)).alias("n"))
    counted = items.select("item_id").join(sold, "item_id", "left").na.fill(0, ["n"])
    largest = counted.agg(F.max("n")).first()
    top = float((largest[0] if largest else 0) or 0)
    return counted.select("item_id", ((F.col("n") + 0.5) / (top + 1.0)).cast("double").alias("pctr"))


def counts(tables: Warehouse, run: str, *, as_of: datetime, kind: str, items: DataFrame) -> DataFrame:
    """Clicks over impressions, with 1000 impressions at the overall rate added; arguments and columns as `sales`."""
    totals = (
        tables.read("exposure_counts", run)
        .where((F.col("item_kind") == kind) & (F.col("period_end") <= clock(as_of)))
        .groupBy("item_id")
        .agg(F.sum("impressions").alias("impressions"), F.sum("clicks").alias("clicks"))
    )
    overall = totals.agg(F.sum("clicks").alias("clicks"), F.sum("impressions").alias("impressions")).first()
    shown = float(overall["impressions"] or 0.0) if overall else 0.0
    # Half a click in one more impression keeps the rate inside (0, 1) where nothing was ever shown or clicked.
    rate = (float(overall["clicks"] or 0.0) + 0.5) / (shown + 1.0) if overall and shown else 0.5
    counted = items.select("item_id").join(totals, "item_id", "left").na.fill(0.0, ["impressions", "clicks"])
    smoothed = (F.col("clicks") + PRIOR_IMPRESSIONS * rate) / (F.col("impressions") + PRIOR_IMPRESSIONS)
    return counted.select("item_id", F.least(smoothed, F.lit(1.0)).cast("double").alias("pctr"))


SCORERS: dict[str, Callable[..., DataFrame]] = {"sales": sales, "counts": counts}
