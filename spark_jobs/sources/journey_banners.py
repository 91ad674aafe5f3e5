"""Campaigns of The Complete Journey as banners: target households are impressions, redeemed coupons are clicks.

A campaign is mailed once to each of its households, on its first day: one impression. What a household was mailed in
the same round of four weeks (counted from week 1, so that no round reaches over the demo's clock) is one request,
which began when the round did. The first coupon of a campaign that a household redeems is the click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.sources import journey_files as files
from spark_jobs.sources.clock import moment

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame, SparkSession

SURFACE = "coupon-mailing"
_WORDS = 40


def events(spark: SparkSession, until: datetime) -> list[DataFrame]:
    """Impressions and clicks before `until`."""
    mailed = _mailed(spark).where(F.col("start_date") < moment(until))
    redeemed = _redeemed(spark, until)
    clicked = mailed.join(redeemed, ["campaign_id", "household_id"])
    return [_events(mailed, "impression", "start_date"), _events(clicked, "click", "redeemed_at")]


def exposure_counts(spark: SparkSession, until: datetime) -> DataFrame:
    """Impressions and clicks by campaign and week; weeks that ended by `until`."""
    both = [frame.select("item_id", "ts", "kind") for frame in events(spark, until)]
    week = files.weeks_column(F.col("ts"))
    counts = both[0].unionByName(both[1]).groupBy("item_id", week.alias("week"))
    sums = counts.agg(
        F.sum((F.col("kind") == "impression").cast("double")).alias("impressions"),
        F.sum((F.col("kind") == "click").cast("double")).alias("clicks"),
    )
    return sums.select(
        "item_id",
        F.lit("banner").alias("item_kind"),
        files.start_of(F.col("week")).alias("period_start"),
        files.start_of(F.col("week") + 1).alias("period_end"),
        "impressions",
        "clicks",
    ).where(F.col("period_end") <= moment(until))


def items(spark: SparkSession, until: datetime) -> DataFrame:
    """Campaigns that have begun, or begin at `until`: the shop knows tomorrow's campaign the night before."""
    described = files.read(spark, "campaign_descriptions").where(F.col("start_date") <= moment(until))
    coupons = files.read(spark, "coupons").join(files.read(spark, "products"), "product_id")
    type_counts = coupons.groupBy("campaign_id", "product_type", "product_category").agg(F.count("*").alias("n"))
    ranked = type_counts.groupBy("campaign_id").agg(
        F.slice(
            F.sort_array(F.collect_list(F.struct(-F.col("n"), "product_type", "product_category"))), 1, _WORDS
        ).alias("types")
    )
    words = F.transform("types", lambda t: F.concat_ws(" ", t["product_type"], t["product_category"]))
    brand = _most_frequent(coupons, "manufacturer_id", "brand_id")
    department = _most_frequent(coupons, "department", "department")
    title = F.concat(F.lit("Campaign "), "campaign_id", F.lit(" ("), "campaign_type", F.lit(")"))
    running = F.col("end_date") + F.expr("INTERVAL 1 DAY") > moment(until)
    whole = described
    for part in (ranked, brand, department):
        whole = whole.join(F.broadcast(part), "campaign_id", "left")
    attributes = F.create_map(
        *(F.lit("campaign_type"), F.col("campaign_type")),
        *(F.lit("manufacturer"), F.coalesce("brand_id", F.lit("unknown"))),
        *(F.lit("department"), F.coalesce("department", F.lit("unknown"))),
    )
    return whole.select(
        _banner_id().alias("item_id"),
        F.lit("banner").alias("kind"),
        title.alias("title"),
        F.concat_ws(" ", "department", F.array_join(words, " ")).alias("text"),
        "brand_id",
        F.array(F.lit("banners")).alias("category"),
        F.col("start_date").alias("created_at"),
        running.alias("available"),
        attributes.alias("attributes"),
    )


def lists(spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
    """Rounds that began in [since, until): a household's list is what it was mailed in the round."""
    mailed = _mailed(spark).where(
        (F.col("round_at") >= moment(since))
        & (F.col("round_at") < moment(until))
        & (F.col("start_date") < moment(until))
    )
    clicked = mailed.join(_redeemed(spark, until), ["campaign_id", "household_id"])
    visits = mailed.select(
        "request_id",
        F.col("round_at").alias("request_at"),
        F.col("household_id").cast("string").alias("user_id"),
        F.lit("banner").alias("item_kind"),
        F.col("request_id").alias("list_id"),
    )
    return {
        "visits": visits.distinct(),
        "list_items": mailed.select(F.col("request_id").alias("list_id"), _banner_id().alias("item_id")),
        "visit_clicks": clicked.select("request_id", _banner_id().alias("item_id")),
    }


def _mailed(spark: SparkSession) -> DataFrame:
    """One row a campaign and target household, with its round."""
    mailed = files.read(spark, "campaigns").join(files.read(spark, "campaign_descriptions"), "campaign_id")
    start = F.col("start_date").cast("timestamp")
    # Three campaigns began in 2016, before week 1: their round began then too.
    round_at = files.round_start(start)
    week = files.weeks_column(round_at)
    request_id = F.concat(F.lit("h"), "household_id", F.lit("-r"), week)
    return mailed.select(
        "campaign_id",
        "household_id",
        start.alias("start_date"),
        round_at.alias("round_at"),
        request_id.alias("request_id"),
    ).distinct()


def _redeemed(spark: SparkSession, until: datetime) -> DataFrame:
    """The first redemption of a household in a campaign, before `until`."""
    redemptions = files.read(spark, "coupon_redemptions").groupBy("campaign_id", "household_id")
    first = redemptions.agg(F.min("redemption_date").cast("timestamp").alias("redeemed_at"))
    return first.where(F.col("redeemed_at") < moment(until))


def _events(rows: DataFrame, kind: str, ts: str) -> DataFrame:
    return rows.select(
        F.concat(F.lit("h"), "household_id", F.lit("-"), _banner_id(), F.lit(f"-{kind}")).alias("event_id"),
        F.col(ts).alias("ts"),
        F.col("household_id").cast("string").alias("user_id"),
        _banner_id().alias("item_id"),
        F.lit("banner").alias("item_kind"),
        F.lit(kind).alias("kind"),
        F.lit(SURFACE).alias("surface"),
        "request_id",
        F.col("round_at").alias("request_at"),
        F.lit(1.0).alias("sampling_rate"),
    )


def _most_frequent(coupons: DataFrame, column: str, name: str) -> DataFrame:
    """The value of a column that most coupons of a campaign carry; the smaller one of equals."""
    counted = coupons.where(F.col(column).isNotNull()).groupBy("campaign_id", column).agg(F.count("*").alias("n"))
    best = F.min(F.struct(-F.col("n"), F.col(column).cast("string").alias("value")))
    return counted.groupBy("campaign_id").agg(best.alias("best")).select("campaign_id", F.col("best.value").alias(name))


def _banner_id() -> Column:
    return F.concat(F.lit("c"), "campaign_id")
