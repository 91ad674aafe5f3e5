"""What was known of an item before a day: past click rates, recent purchases, age; never anything of the day itself.

Features of an impression use only what ended at or before the midnight that begins the day of its visit, so nothing of
the visit, and nothing after its beginning, can reach them. Periods of `exposure_counts` count from their end on, days
of purchases from the next midnight on. Sums run over (key, moment), not over impressions: one window a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from spark_jobs.history import exact_sum

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

DAY = 86_400


def moment_of(request_at: Column) -> Column:
    """The midnight before a visit: history of the visit ends there."""
    return F.date_trunc("day", request_at)


def known_counts(exposures: DataFrame, events: DataFrame) -> DataFrame:
    """(item_id, item_kind, known_at, impressions, clicks, purchases): totals and the moment from which they are known.

    Args:
        exposures: the exposure_counts table.
        events: the events table; its purchases count by day.
    """
    shown = exposures.select(
        "item_id", "item_kind", F.col("period_end").alias("known_at"), "impressions", "clicks",
        F.lit(0.0).alias("purchases"),
    )  # fmt: skip
    next_midnight = F.date_trunc("day", F.col("ts")) + F.expr("INTERVAL 1 DAY")
    bought = (
        events.where(F.col("kind") == "purchase")
        .groupBy("item_id", "item_kind", next_midnight.alias("known_at"))
        .agg(F.count("*").cast("double").alias("purchases"))
        .select("item_id", "item_kind", "known_at", F.lit(0.0).alias("impressions"), F.lit(0.0).alias("clicks"),
                "purchases")
    )  # fmt: skip
    return shown.unionByName(bought)


def rates_before(
    counts: DataFrame,
    asked: DataFrame,
    *,
    level: str,
    windows: Sequence[int],
    prior_impressions: float,
) -> DataFrame:
    """History of every asked (key, moment), by level of the item (itself, its type, its brand, …).

    Columns: `<level>_rate` (smoothed clicks over impressions to date), `<level>_rate_<n>d`, `<level>_impressions`,
    `<level>_impressions_<n>d` and `<level>_purchases_<n>d`. A rate is (c + r·k) / (i + k) with k prior impressions at
    the overall rate r known at that moment.

    Args:
        counts: `key`, `known_at`, `impressions`, `clicks`, `purchases`.
        asked: distinct (`key`, `moment`).
        windows: days.
    """
    daily = counts.groupBy("key", F.col("known_at").alias("moment")).agg(
        exact_sum("impressions"), exact_sum("clicks"), exact_sum("purchases")
    )
    wanted = asked.select("key", "moment").withColumn("asked", F.lit(1))
    nothing = {name: F.lit(0.0) for name in ("impressions", "clicks", "purchases")}
    rows = daily.withColumn("asked", F.lit(0)).unionByName(wanted.withColumns(nothing))
    rows = rows.withColumn("at", F.unix_seconds("moment"))
    by_key = Window.partitionBy("key").orderBy("at")
    spans = {"": by_key.rangeBetween(Window.unboundedPreceding, Window.currentRow)}
    # known_at in (moment − n days, moment]: the n days that ended before the moment.
    spans |= {f"_{days}d": by_key.rangeBetween(-days * DAY + 1, Window.currentRow) for days in windows}
    sums = {
        f"_{name}{suffix}": F.sum(name).over(span)
        for suffix, span in spans.items()
        for name in ("impressions", "clicks", "purchases")
    }
    summed = rows.withColumns(sums).where(F.col("asked") == 1).join(F.broadcast(_overall(counts, asked)), "moment")
    found: dict[str, Column] = {}
    for suffix in spans:
        clicks, impressions = F.col(f"_clicks{suffix}"), F.col(f"_impressions{suffix}")
        prior = F.lit(prior_impressions)
        found[f"{level}_rate{suffix}"] = (clicks + F.col("overall") * prior) / (impressions + prior)
        found[f"{level}_impressions{suffix}"] = impressions
        if suffix:
            found[f"{level}_purchases{suffix}"] = F.col(f"_purchases{suffix}")
    return summed.select("key", "moment", *(column.alias(name) for name, column in found.items()))


def _overall(counts: DataFrame, asked: DataFrame) -> DataFrame:
    """The click rate of everything known at each moment; half a click in a thousand before anything is known."""
    totals = counts.groupBy("known_at").agg(exact_sum("impressions"), exact_sum("clicks"))
    moments = asked.select("moment").distinct()
    joined = moments.join(F.broadcast(totals), F.col("known_at") <= F.col("moment"), "left").groupBy("moment")
    clicks, impressions = F.coalesce(F.sum("clicks"), F.lit(0.0)), F.coalesce(F.sum("impressions"), F.lit(0.0))
    return joined.agg(((clicks + 0.5) / (impressions + 1000.0)).alias("overall"))
