"""What each user has chosen, as documents: which words, how often, how long ago, as known at each snapshot.

Events are added up once, by the first snapshot that may know them; a document at a snapshot is the sum of what that one
and those before it know. A choice fades by half every `half_life_days`: at its own snapshot it weighs
2 ** -(days since / half-life), and a whole snapshot fades further by the days to the later ones.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.features.columns import item_path
from spark_jobs.features.snapshots import dates_passed
from spark_jobs.history import clock, exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

    from segments.families.brand import BrandSettings

DAY = 86_400.0


def word_of(documents: str) -> Column:
    """An item's word, as a column over the items table; null where the item has none."""
    named = {
        "brands": F.col("brand_id"),
        "products": F.col("item_id"),
        "categories": F.try_element_at("category", F.lit(-1)),
        "manufacturers": F.coalesce(F.col("attributes").getItem("manufacturer"), F.col("brand_id")),
    }
    return (named[documents] if documents in named else item_path(documents)).cast("string")


def summed_choices(
    events: DataFrame, items: DataFrame, dates: Sequence[datetime], settings: BrandSettings
) -> DataFrame:
    """(snapshot, user_id, word, weight, last): choices by the first of the dates that may know them.

    Args:
        events: the events table; kinds other than `settings.actions` do not count.
        items: the items table; what an item without a word got does not count.
        dates: rising; what happened at or after the last one does not count.
        settings: which kinds, which words, and how fast they fade.

    Returns:
        `weight` is how much the choices weigh at their snapshot's date, `last` the time of the latest.
    """
    words = items.select("item_id", word_of(settings.documents).alias("word")).where("word IS NOT NULL")
    chosen = (
        events.where(F.col("kind").isin(*settings.actions))
        .select("user_id", "item_id", "ts", dates_passed(F.col("ts"), dates).alias("snapshot"))
        .where(F.col("snapshot") < len(dates))
        .join(F.broadcast(words), "item_id")
    )
    weight: Column = F.lit(1.0)
    if settings.half_life_days is not None:
        date = F.get(F.array(*(clock(date) for date in dates)), F.col("snapshot"))
        days = (F.unix_micros(date) - F.unix_micros("ts")) / (1e6 * DAY)
        weight = F.pow(F.lit(2.0), -days / settings.half_life_days)
    # All that follows is by user: his rows meet here, once, and are not sent around again.
    together = chosen.repartition("user_id")
    return together.groupBy("snapshot", "user_id", "word").agg(
        exact_sum(weight).alias("weight"), F.max("ts").alias("last")
    )


def documents_at(
    sums: DataFrame, snapshot: int, dates: Sequence[datetime], settings: BrandSettings, *, quiet: bool = True
) -> DataFrame:
    """(user_id, word, weight): the documents at one of the dates.

    Args:
        sums: of `summed_choices` with the same dates and settings.
        snapshot: number of the date.
        dates: all of them.
        settings: how fast choices fade, and how long a user may be quiet.
        quiet: False keeps the users who have been quiet for too long.
    """
    known = sums.where(F.col("snapshot") <= snapshot)
    weight: Column = F.col("weight")
    if settings.half_life_days is not None:
        ages = ((dates[snapshot] - date).total_seconds() / DAY for date in dates[: snapshot + 1])
        factors = F.array(*(F.lit(2.0 ** (-days / settings.half_life_days)) for days in ages))
        weight = weight * F.get(factors, F.col("snapshot"))
    found = known.groupBy("user_id", "word").agg(exact_sum(weight).alias("weight")).where("weight > 0")
    return found.join(quiet_users(known, dates[snapshot], settings), "user_id", "left_anti") if quiet else found


def quiet_users(sums: DataFrame, date: datetime, settings: BrandSettings) -> DataFrame:
    """(user_id): who has chosen something before the date, but nothing in the last `quiet_days` days."""
    last = sums.groupBy("user_id").agg(F.max("last").alias("last"))
    if settings.quiet_days is None:
        return last.where("false").select("user_id")
    return last.where(F.col("last") < clock(date - timedelta(days=settings.quiet_days))).select("user_id")


def names_of(items: DataFrame, documents: str, words: Iterable[str]) -> dict[str, str]:
    """What people call some words: a product's title; a word of digits alone gets its commonest category beside it."""
    wanted = sorted(set(words))
    if not wanted:
        return {}
    named = items.select(word_of(documents).alias("word"), "title", F.try_element_at("category", F.lit(-1)).alias("of"))
    named = named.where(F.col("word").isin(*wanted))
    if documents == "products":
        titles = named.where("title IS NOT NULL").groupBy("word").agg(F.min("title").alias("name"))
        return {row["word"]: row["name"] for row in titles.collect()}
    counted = named.where("word RLIKE '^[0-9]+$' AND of IS NOT NULL").groupBy("word", "of").count()
    commonest = counted.groupBy("word").agg(F.max_by("of", F.struct("count", "of")).alias("of"))
    return {row["word"]: f"{row['word']} ({row['of'].lower()})" for row in commonest.collect()}
