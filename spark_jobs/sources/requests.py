"""What follows from events alone, where they are complete: exact totals by day, and the lists that were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.sources.clock import moment

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame


def daily_exposures(events: DataFrame, until: datetime) -> DataFrame:
    """`exposure_counts` by item and day, of days that ended by `until`; a sampled impression counts 1 / its rate."""
    day = F.date_trunc("day", "ts")
    seen = events.where("kind IN ('impression', 'click')").groupBy("item_id", "item_kind", day.alias("period_start"))
    counts = seen.agg(
        F.sum(F.when(F.col("kind") == "impression", 1 / F.col("sampling_rate")).otherwise(0.0)).alias("impressions"),
        F.sum((F.col("kind") == "click").cast("double")).alias("clicks"),
    )
    counts = counts.withColumn("period_end", F.col("period_start") + F.expr("INTERVAL 1 DAY"))
    return counts.where(F.col("period_end") <= moment(until))


def shown_lists(events: DataFrame, since: datetime) -> dict[str, DataFrame]:
    """visits, list_items and visit_clicks of requests that began at `since` or later: a request is its own list."""
    events = events.where((F.col("request_at") >= moment(since)) & F.col("request_id").isNotNull())
    shown = events.where("kind = 'impression'")
    visits = shown.select("request_id", "request_at", "user_id", "item_kind", F.col("request_id").alias("list_id"))
    items = shown.select(F.col("request_id").alias("list_id"), "item_id").distinct()
    clicks = events.where("kind = 'click'").select("request_id", "item_id").distinct()
    in_list = items.withColumnRenamed("list_id", "request_id")
    return {
        "visits": visits.distinct(),
        "list_items": items,
        "visit_clicks": clicks.join(in_list, ["request_id", "item_id"], "left_semi"),
    }
