"""What was known of an item before a day: past click rates, recent purchases, age; never anything of the day itself.

Features of an impression use only what ended at or before the midnight that begins the day of its visit, so nothing
of the visit, and nothing after its beginning, can reach them. Periods of `exposure_counts` count from their end on,
days of purchases from the next midnight on.

Sums run over (key, moment), not over impressions, and a recent count is a running sum too: what comes into a window
of n days at t leaves it at t + n days. So one ordered pass a level gives every window, however long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

DAY = 86_400
COUNTS = ("impressions", "clicks", "purchases")
# Counts are added as whole millionths: the same sum in whatever order, and what leaves a window leaves nothing behind.
SCALE = 1_000_000


def moment_of(request_at: Column, *, as_of: datetime, refresh_days: int) -> Column:
    """Where the history of a visit ends: a midnight before it, on a grid of `refresh_days` that ends at the clock.

    With one day, the midnight before the visit. With more, examples see history as old as it gets between two nights
    that score: what a rank knows when it is looked at.
    """
    now, step = int(as_of.timestamp()), refresh_days * DAY
    before = F.lit(now) - F.unix_seconds(F.date_trunc("day", request_at))
    return F.timestamp_seconds(F.lit(now) - F.ceil(before / step) * step)


def known_counts(exposures: DataFrame, events: DataFrame) -> DataFrame:
    """(item_id, known_at, impressions, clicks, purchases): totals in millionths, and the moment they are known from.

    Args:
        exposures: the exposure_counts table.
        events: the events table; its purchases count by day.
    """
    shown = exposures.select(
        "item_id", F.col("period_end").alias("known_at"), _millionths("impressions"), _millionths("clicks"),
        F.lit(0).cast("long").alias("purchases"),
    )  # fmt: skip
    next_midnight = F.date_trunc("day", F.col("ts")) + F.expr("INTERVAL 1 DAY")
    nothing = [F.lit(0).cast("long").alias(name) for name in ("impressions", "clicks")]
    one = F.lit(SCALE).cast("long").alias("purchases")
    bought = events.where(F.col("kind") == "purchase").select("item_id", next_midnight.alias("known_at"), *nothing, one)
    return _added(shown.unionByName(bought), "item_id")


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
    `<level>_impressions_<n>d`, `<level>_purchases_<n>d`, and `<level>_purchases_a_day` (to date, and half a purchase,
    over the days since anything was known: unlike a total it does not grow with the calendar). A rate is
    (c + r·k) / (i + k) with k prior impressions at the rate r: of the level above (an item's type) where `asked` tells
    it as `prior`, else the overall rate known at that moment. A recent rate is drawn to the rate to date.

    Args:
        counts: `key`, `known_at`, and `impressions`, `clicks`, `purchases` in millionths (see `known_counts`).
        asked: distinct (`key`, `moment`), and `prior` if there is one.
        windows: days.
    """
    daily = _added(counts, "key")
    sums = [f"{name}{suffix}" for suffix in _suffixes(windows) for name in COUNTS]
    nothing = {name: F.lit(0).cast("long") for name in sums}
    questions = asked.select("key", F.unix_seconds("moment").alias("at"), F.col("moment"), *_named(nothing))
    rows = _changes(daily, windows).unionByName(questions)
    to_date = Window.partitionBy("key").orderBy("at").rangeBetween(Window.unboundedPreceding, Window.currentRow)
    running = rows.select("key", "moment", *(F.sum(name).over(to_date).alias(name) for name in sums))
    answered = running.where(F.col("moment").isNotNull())
    summed = answered.join(F.broadcast(_overall(daily, asked)), "moment")
    base = F.col("overall")
    if "prior" in asked.columns:
        summed = summed.join(asked, ["key", "moment"])
        base = F.coalesce("prior", "overall")
    found: dict[str, Column] = {}
    prior = F.lit(prior_impressions)
    for suffix in _suffixes(windows):
        clicks, impressions = F.col(f"clicks{suffix}") / SCALE, F.col(f"impressions{suffix}") / SCALE
        found[f"{level}_rate{suffix}"] = rate = (clicks + base * prior) / (impressions + prior)
        base = rate if not suffix else base
        found[f"{level}_impressions{suffix}"] = impressions
        if suffix:
            found[f"{level}_purchases{suffix}"] = F.col(f"purchases{suffix}") / SCALE
    found[f"{level}_purchases_a_day"] = (F.col("purchases") / SCALE + 0.5) / F.col("days")
    return summed.select("key", "moment", *_named(found))


def _changes(daily: DataFrame, windows: Sequence[int]) -> DataFrame:
    """What each day of a key adds to the running sums, and what leaves those of each window when its days are over."""
    comes = {f"{name}{suffix}": F.col(name) for suffix in _suffixes(windows) for name in COUNTS}
    at = F.unix_seconds("known_at")
    changes = [F.struct(at.alias("at"), *_named(comes))]
    for days in windows:
        leaves = {name: F.lit(0).cast("long") for name in comes} | {f"{name}_{days}d": -F.col(name) for name in COUNTS}
        changes.append(F.struct((at + days * DAY).alias("at"), *_named(leaves)))
    # A change answers no question: it has no moment.
    none = F.lit(None).cast("timestamp").alias("moment")
    return daily.select("key", F.explode(F.array(*changes)).alias("change")).select(
        "key", "change.at", none, *(f"change.{name}" for name in comes)
    )


def _overall(daily: DataFrame, asked: DataFrame) -> DataFrame:
    """By moment, of everything known: the click rate (half a click in a thousand before anything is), and the days."""
    totals = daily.groupBy("known_at").agg(*(F.sum(name).alias(name) for name in COUNTS))
    moments = asked.select("moment").distinct()
    joined = moments.join(F.broadcast(totals), F.col("known_at") <= F.col("moment"), "left").groupBy("moment")
    clicks, impressions = (F.coalesce(F.sum(name), F.lit(0)) / SCALE for name in ("clicks", "impressions"))
    seconds = F.unix_seconds("moment") - F.unix_seconds(F.min("known_at"))
    days = F.greatest(F.coalesce(seconds, F.lit(0)) / DAY, F.lit(1.0))
    return joined.agg(((clicks + 0.5) / (impressions + 1000.0)).alias("overall"), days.alias("days"))


def _added(counts: DataFrame, key: str) -> DataFrame:
    return counts.groupBy(key, "known_at").agg(*(F.sum(name).alias(name) for name in COUNTS))


def _millionths(name: str) -> Column:
    return F.round(F.col(name) * SCALE).cast("long").alias(name)


def _suffixes(windows: Sequence[int]) -> list[str]:
    return ["", *(f"_{days}d" for days in windows)]


def _named(columns: dict[str, Column]) -> list[Column]:
    return [column.alias(name) for name, column in columns.items()]
