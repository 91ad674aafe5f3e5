"""What lures are judged by, counted by Spark: an item's clicks, what followed them, and whom it draws."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, Protocol

from pyspark.sql import Window
from pyspark.sql import functions as F

from spark_jobs.history import clock

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame


ENGAGEMENT = ("like", "save", "follow", "cart", "purchase")
EVERYBODY = "all"
# What each kind of counting finds, (trials, hits, …); a rule names two of them.
ENGAGED = ("judged", "followed")
SOLD = ("sold", "plain", "full_price")
DRAWN = ("drawn", "outside")


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
    @property
    def segment_trials(self) -> int: ...


def lure_counts(
    events: DataFrame,
    items: DataFrame,
    exposure_counts: DataFrame,
    *,
    kind: str,
    as_of: datetime,
    settings: FollowRule,
    segments: DataFrame | None = None,
) -> DataFrame:
    """One row an item: segment (`all`), item_id, and counts as doubles; with `segments` also rows of segments.

    `judged` clicks (or buyers, by visit) had time for something to follow, `followed` of them saw it follow; of `sold`
    purchases `full_price` were made without discount, and `plain` without promotion either; of `drawn` people who
    clicked or bought it `outside` clicked or bought nothing else of its list, though they did elsewhere. `impressions`
    and `clicks` are exact totals, of everybody only.

    Args:
        events: of the run.
        items: item_id and list of the shelf's candidates.
        exposure_counts: exact totals.
        kind: of items.
        as_of: nothing at or after it is read.
        settings: window, what follows, and within how many days.
        segments: user_id and segment; rows are made where a segment has judged an item often enough.
    """
    since = as_of - timedelta(days=settings.window_days)
    seen = events.where((F.col("item_kind") == kind) & (F.col("ts") >= clock(since)) & (F.col("ts") < clock(as_of)))
    again = settings.follow == "buying_again"
    first = _bought_again(seen, as_of, settings) if again else _engaged(seen, settings)
    parts = [first, _sales(seen, promoted=again), _drawn(seen, items)]
    totals = exposure_counts.where(
        (F.col("item_kind") == kind) & (F.col("period_start") >= clock(since)) & (F.col("period_end") <= clock(as_of))
    )
    totals = totals.groupBy("item_id").agg(F.sum("impressions").alias("impressions"), F.sum("clicks").alias("clicks"))
    frame = reduce(lambda a, b: a.join(b, "item_id", "left"), [items, totals, *(_summed(p, "item_id") for p in parts)])
    names = ("impressions", "clicks", *ENGAGED, *SOLD, *DRAWN)
    counts = [_or_zero(frame, name).alias(name) for name in names]
    everybody = frame.select(F.lit(EVERYBODY).alias("segment"), "item_id", *counts)
    if segments is None:
        return everybody
    by = ("segment", "item_id")
    of, *others = (_summed(part.join(F.broadcast(segments), "user_id"), *by) for part in parts)
    of = of.where(F.col("judged") >= settings.segment_trials).join(items.select("item_id"), "item_id", "left_semi")
    own = reduce(lambda a, b: a.join(b, list(by), "left"), others, of)
    return everybody.unionByName(own.select(*by, *(_or_zero(own, name).alias(name) for name in names)))


def _summed(part: DataFrame, *by: str) -> DataFrame:
    names = [name for name in part.columns if name in {*ENGAGED, *SOLD, *DRAWN}]
    return part.groupBy(*by).agg(*(F.sum(F.col(name).cast("double")).alias(name) for name in names))


def _or_zero(frame: DataFrame, name: str) -> Column:
    return F.coalesce(F.col(name).cast("double"), F.lit(0.0)) if name in frame.columns else F.lit(0.0)


def _engaged(seen: DataFrame, settings: FollowRule) -> DataFrame:
    """One row a click: whether the same user did something with the item, at once or within days.

    Another click is none of it: who is shown an item more often clicks it more often.
    """
    interest = F.col("kind").isin(*ENGAGEMENT) | ((F.col("kind") == "dwell") & (F.col("dwell_ms") >= settings.dwell_ms))
    after = seen.where(interest).select("user_id", "item_id", F.col("ts").alias("after"))
    clicks = seen.where(F.col("kind") == "click").select("event_id", "user_id", "item_id", "ts")
    limit = F.col("ts") + F.make_interval(days=F.lit(settings.follow_days))
    met = (F.col("after") >= F.col("ts")) & (F.col("after") <= limit)
    return (
        clicks.join(after, ["user_id", "item_id"], "left")
        .groupBy("user_id", "item_id", "event_id")
        .agg(F.lit(1).alias("judged"), F.max(F.coalesce(met, F.lit(False))).cast("int").alias("followed"))
    )


def _bought_again(seen: DataFrame, as_of: datetime, settings: FollowRule) -> DataFrame:
    """One row a buyer: whether a visit in which the item was bought was followed in time by another.

    Visits too near the clock are left out: they had no time for it. A household counts once: one that came back ten
    times is one that came back.
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
    return (
        ripe.join(later, ["user_id", "item_id"], "left")
        .groupBy("user_id", "item_id")
        .agg(F.lit(1).alias("judged"), F.max(F.coalesce(met, F.lit(False))).cast("int").alias("followed"))
    )


def _sales(seen: DataFrame, *, promoted: bool) -> DataFrame:
    """One row a purchase: whether at full price, and (where a click says that it was promoted) in a visit without."""
    bought = seen.where(F.col("kind") == "purchase").select(
        "user_id", "item_id", "request_id", (F.col("context")["discounted"] == "true").alias("cheaper")
    )
    full = ~F.coalesce(F.col("cheaper"), F.lit(False))
    if not promoted:
        # A shop that does not say what is discounted sells nothing that could be judged by it.
        bought = bought.where(F.col("cheaper").isNotNull())
        return bought.select("user_id", "item_id", F.lit(1).alias("sold"), full.cast("int").alias("full_price"))
    clicks = seen.where(F.col("kind") == "click").select("request_id", "item_id").distinct()
    sales = bought.join(clicks.withColumn("shown", F.lit(1)), ["request_id", "item_id"], "left")
    plain = full & F.col("shown").isNull()
    return sales.select("user_id", "item_id", F.lit(1).alias("sold"), plain.cast("int").alias("plain"))


def _drawn(seen: DataFrame, items: DataFrame) -> DataFrame:
    """One row a user and item clicked or bought, of users who did so with several items."""
    acts = seen.where(F.col("kind").isin("click", "purchase")).select("user_id", "item_id").distinct()
    everything = F.count(F.lit(1)).over(Window.partitionBy("user_id"))
    of_list = F.count(F.lit(1)).over(Window.partitionBy("user_id", "list"))
    found = acts.join(F.broadcast(items), "item_id").select(
        "user_id", "item_id", everything.alias("everything"), of_list.alias("of_list")
    )
    outside = (F.col("of_list") == 1).cast("int")
    return found.where("everything > 1").select("user_id", "item_id", F.lit(1).alias("drawn"), outside.alias("outside"))
