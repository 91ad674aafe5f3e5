"""What lures are judged by, counted by Spark: an item's clicks, and what followed them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from pyspark.sql import functions as F

from spark_jobs.history import clock

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame


ENGAGEMENT = ("like", "save", "follow", "cart", "purchase")


class FollowRule(Protocol):
    """What counts as following a click; `LureSettings` is one."""

    @property
    def follow(self) -> str: ...
    @property
    def follow_days(self) -> int: ...
    @property
    def dwell_ms(self) -> int: ...
    @property
    def window_days(self) -> int: ...


def lure_counts(
    events: DataFrame,
    items: DataFrame,
    exposure_counts: DataFrame,
    *,
    kind: str,
    as_of: datetime,
    settings: FollowRule,
) -> DataFrame:
    """One row an item: item_id, list, impressions, clicks, judged, followed, sold, plain (doubles).

    `judged` clicks (or buyers, by visit) had time for something to follow, `followed` of them saw it follow; of `sold`
    purchases `plain` were made without discount and without promotion.

    Args:
        events: of the run.
        items: item_id and list of the shelf's candidates.
        exposure_counts: exact totals.
        kind: of items.
        as_of: nothing at or after it is read.
        settings: window, what follows, and within how many days.
    """
    since = as_of - timedelta(days=settings.window_days)
    seen = events.where((F.col("item_kind") == kind) & (F.col("ts") >= clock(since)) & (F.col("ts") < clock(as_of)))
    totals = exposure_counts.where(
        (F.col("item_kind") == kind) & (F.col("period_start") >= clock(since)) & (F.col("period_end") <= clock(as_of))
    )
    totals = totals.groupBy("item_id").agg(F.sum("impressions").alias("impressions"), F.sum("clicks").alias("clicks"))
    if settings.follow == "buying_again":
        followed, sales = _bought_again(seen, as_of, settings), _plain_sales(seen)
    else:
        followed, sales = _engaged(seen, settings), None
    frame = items.select("item_id", "list").join(totals, "item_id", "left").join(followed, "item_id", "left")
    if sales is not None:
        frame = frame.join(sales, "item_id", "left")
    names = ("impressions", "clicks", "judged", "followed", "sold", "plain")
    return frame.select("item_id", "list", *(_or_zero(frame, name).alias(name) for name in names))


def _or_zero(frame: DataFrame, name: str) -> Column:
    return F.coalesce(F.col(name).cast("double"), F.lit(0.0)) if name in frame.columns else F.lit(0.0)


def _engaged(seen: DataFrame, settings: FollowRule) -> DataFrame:
    """Clicks after which the same user did something with the item, at once or within days."""
    interest = F.col("kind").isin(*ENGAGEMENT) | ((F.col("kind") == "dwell") & (F.col("dwell_ms") >= settings.dwell_ms))
    after = seen.where(interest).select("user_id", "item_id", F.col("ts").alias("after"))
    clicks = seen.where(F.col("kind") == "click").select("event_id", "user_id", "item_id", "ts")
    limit = F.col("ts") + F.make_interval(days=F.lit(settings.follow_days))
    met = (F.col("after") >= F.col("ts")) & (F.col("after") <= limit)
    matched = clicks.join(after, ["user_id", "item_id"], "left").groupBy("item_id", "event_id").agg(
        F.max(F.coalesce(met, F.lit(False))).alias("met")
    )  # fmt: skip
    return _shares(matched)


def _bought_again(seen: DataFrame, as_of: datetime, settings: FollowRule) -> DataFrame:
    """Visits in which the item was bought, and whether the same user bought it in a later visit in time.

    Visits too near the clock are left out: they had no time for it.
    """
    visits = (
        seen.where(F.col("kind") == "purchase")
        .select("user_id", "item_id", F.coalesce("request_at", F.col("ts").cast("timestamp")).alias("at"))
        .distinct()
    )
    later = visits.select("user_id", "item_id", F.col("at").alias("after"))
    ripe = visits.where(F.col("at") < clock(as_of - timedelta(days=settings.follow_days)))
    limit = F.col("at") + F.make_interval(days=F.lit(settings.follow_days))
    met = (F.col("after") > F.col("at")) & (F.col("after") <= limit)
    matched = ripe.join(later, ["user_id", "item_id"], "left").groupBy("item_id", "user_id", "at").agg(
        F.max(F.coalesce(met, F.lit(False))).alias("met")
    )  # fmt: skip
    # A household counts once: one that came back ten times is one that came back.
    return _shares(matched.groupBy("item_id", "user_id").agg(F.max("met").alias("met")))


def _plain_sales(seen: DataFrame) -> DataFrame:
    """Purchases, and those of them made neither at a discount nor while the item was shown (clicked) in the visit."""
    clicks = (
        seen.where(F.col("kind") == "click").select("request_id", "item_id").distinct().withColumn("shown", F.lit(1))
    )
    bought = seen.where(F.col("kind") == "purchase").select(
        "request_id", "item_id", (F.coalesce(F.col("context")["discounted"], F.lit("false")) == "true").alias("cheaper")
    )
    plain = F.col("shown").isNull() & ~F.col("cheaper")
    sales = bought.join(clicks, ["request_id", "item_id"], "left").groupBy("item_id")
    return sales.agg(F.count("*").alias("sold"), F.sum(plain.cast("double")).alias("plain"))


def _shares(matched: DataFrame) -> DataFrame:
    return matched.groupBy("item_id").agg(
        F.count("*").alias("judged"), F.sum(F.col("met").cast("double")).alias("followed")
    )
