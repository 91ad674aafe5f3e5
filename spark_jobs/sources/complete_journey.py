"""The Complete Journey: a real retailer's year (2,469 households, 457 stores, 2017) as impressions and clicks.

A household that shopped in store s in week w was shown the products on display or in the mailer of (s, w): that is a
visit, its request. A click is a product of that list bought in that visit. Display and mailer place are context.
Campaigns are banners (`journey_banners.py`): target households are impressions, redemptions are clicks.

Over the year these are 318,957,363 impressions and 317,267 clicks of products. `exposure_counts` holds them exactly;
`events` holds every click, its impression, and of the other impressions a keyed sample with its rate.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import Field as Setting
from pyspark.sql import functions as F

from segments.config import Settings
from spark_jobs.sources import journey_banners as banners
from spark_jobs.sources import journey_files as files
from spark_jobs.sources import journey_products as products
from spark_jobs.sources.clock import moment
from spark_jobs.sources.journey_weeks import DISPLAYS, MAILERS, SIGHTINGS, week_of_sightings
from spark_jobs.sources.refuse import Judged, judge
from spark_jobs.tables import conform, schema_of

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame, SparkSession

SURFACE = "store-week"


class CompleteJourneySettings(Settings):
    """How the real retailer's year is read."""

    kind: Literal["complete-journey"] = "complete-journey"
    impressions_per_visit: int = Setting(
        default=40, ge=1, description="expected impressions without a click kept of one visit; clicks are all kept"
    )
    seed: int = Setting(default=0, ge=0, description="of the sampling of impressions")
    available_weeks: int | None = Setting(
        default=None,
        ge=1,
        description="a product not sold or shown for so many weeks is no longer available; none: all",
    )


class CompleteJourney:
    """The adapter. What several tables share is kept by Spark until `release`."""

    def __init__(self, settings: CompleteJourneySettings) -> None:
        self.settings = settings
        self._kept: list[DataFrame] = []

    def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
        purchases = _purchases(spark, until)
        shown = self._sightings(spark, purchases, until)
        judged = _judged(spark, purchases)
        events = [
            _impressions(shown),
            _clicks(shown, purchases),
            _purchase_events(judged.good),
            *banners.events(spark, until),
        ]
        counts = _exposure_counts(shown, until)
        items = products.items(spark, purchases, shown, until=until, weeks=self.settings.available_weeks)
        frames = {
            "events": _union("events", events),
            "items": _union("items", [items, banners.items(spark, until)]),
            "users": products.users(spark, purchases),
            "exposure_counts": _union("exposure_counts", [counts, banners.exposure_counts(spark, until)]),
            "refused": judged.refused,
        }
        return {name: conform(frame, name) for name, frame in frames.items()}

    def lists(self, spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
        weeks = _weeks(since, until)
        bought = _purchases(spark, until).where(F.col("week").between(*weeks))
        listed = _promotions(spark, bought, weeks).select("week", "store_id", "product_id").distinct()
        list_id = F.concat(F.lit("s"), "store_id", F.lit("-w"), "week")
        nonempty = F.broadcast(listed.select("week", "store_id").distinct())
        visits = bought.join(nonempty, ["week", "store_id"], "left_semi").select(
            _request_id().alias("request_id"),
            files.start_of(F.col("week")).alias("request_at"),
            F.col("household_id").cast("string").alias("user_id"),
            F.lit("product").alias("item_kind"),
            list_id.alias("list_id"),
        )
        clicks = bought.join(listed, ["week", "store_id", "product_id"], "left_semi").select(
            _request_id().alias("request_id"), F.col("product_id").cast("string").alias("item_id")
        )
        items = listed.select(list_id.alias("list_id"), F.col("product_id").cast("string").alias("item_id"))
        mailed = banners.lists(spark, since, until)
        frames = {"visits": visits.distinct(), "list_items": items, "visit_clicks": clicks.distinct()}
        return {name: _union(name, [frame, mailed[name]]) for name, frame in frames.items()}

    def release(self) -> None:
        while self._kept:
            self._kept.pop().unpersist()

    def _sightings(self, spark: SparkSession, purchases: DataFrame, until: datetime) -> DataFrame:
        """Sampled impressions and exact counts (see `SIGHTINGS`), of weeks that began before `until`."""
        bought = purchases.select("week", "store_id", "household_id", "product_id").distinct()
        promotions = _promotions(spark, purchases, _weeks(files.FIRST_WEEK, until))
        pass_of_a_week = week_of_sightings(self.settings.impressions_per_visit, self.settings.seed)
        shown = (
            promotions.select("week", "packed")
            .groupBy("week")
            .cogroup(bought.groupBy("week"))
            .applyInArrow(pass_of_a_week, SIGHTINGS)
        )
        # Events, items and exposure counts all come from this one pass over 319 million impressions.
        self._kept.append(shown.persist())
        return shown


def _purchases(spark: SparkSession, until: datetime) -> DataFrame:
    """Every purchase line before `until`."""
    lines = files.read(spark, "transactions").where(F.col("ts") < moment(until))
    return lines.withColumn("week", F.col("week").cast("int"))


def _weeks(since: datetime, until: datetime) -> tuple[int, int]:
    """First and last week that began in [since, until)."""
    instant = timedelta(microseconds=1)
    return files.week_of(since - instant) + 1, files.week_of(until - instant)


def _promotions(spark: SparkSession, purchases: DataFrame, weeks: tuple[int, int]) -> DataFrame:
    """week, store_id, product_id, packed (see `unpack`): of the stores and weeks in which somebody shopped."""
    visited = F.broadcast(purchases.select("week", "store_id").distinct())
    display = F.instr(F.lit(DISPLAYS), F.col("display_location")) - 1
    mailer = F.instr(F.lit(MAILERS), F.col("mailer_location")) - 1
    packed = ((F.col("product_id") * (1 << 20) + F.col("store_id")) * 16 + display) * 16 + mailer
    # A plain comparison, which Parquet can use to leave row groups unread.
    within = files.read(spark, "promotions").where(F.col("week").between(*weeks))
    rows = within.select(F.col("week").cast("int").alias("week"), "store_id", "product_id", packed.alias("packed"))
    return rows.join(visited, ["week", "store_id"], "left_semi")


def _request_id() -> Column:
    return F.concat(F.lit("h"), "household_id", F.lit("-s"), "store_id", F.lit("-w"), "week")


def _impressions(shown: DataFrame) -> DataFrame:
    return _visit_events(shown.where("household_id IS NOT NULL"), "impression", files.start_of(F.col("week")))


def _clicks(shown: DataFrame, purchases: DataFrame) -> DataFrame:
    keys = ["week", "store_id", "household_id", "product_id"]
    place = ["display", "mailer", "sampling_rate"]
    # Few purchase lines are clicks: found first by a broadcast, so that only they are grouped.
    lines = purchases.select(*keys, "ts").join(F.broadcast(shown.where("clicked").select(*keys, *place)), keys)
    return _visit_events(lines.groupBy(*keys, *place).agg(F.min("ts").alias("bought_at")), "click", F.col("bought_at"))


def _visit_events(rows: DataFrame, kind: str, ts: Column) -> DataFrame:
    context = [F.lit("display"), F.col("display"), F.lit("mailer"), F.col("mailer"), F.lit("store"), _text("store_id")]
    return rows.select(
        F.concat(_request_id(), F.lit("-p"), "product_id", F.lit(f"-{kind}")).alias("event_id"),
        ts.alias("ts"),
        *_who_and_what(kind),
        "sampling_rate",
        F.create_map(*context).alias("context"),
    )


def _purchase_events(lines: DataFrame) -> DataFrame:
    discounted = (F.col("retail_disc") > 0) | (F.col("coupon_disc") > 0)
    context = [F.lit("store"), _text("store_id"), F.lit("basket"), _text("basket_id"), F.lit("discounted")]
    return lines.select(
        # A basket names a product once: no two of the 1,469,307 lines share both.
        F.concat(F.lit("b"), "basket_id", F.lit("-p"), "product_id", F.lit("-purchase")).alias("event_id"),
        "ts",
        *_who_and_what("purchase"),
        F.col("sales_value").alias("value"),
        F.lit(1.0).alias("sampling_rate"),
        F.create_map(*context, discounted.cast("string")).alias("context"),
    )


def _who_and_what(kind: str) -> list[Column]:
    return [
        _text("household_id").alias("user_id"),
        _text("product_id").alias("item_id"),
        F.lit("product").alias("item_kind"),
        F.lit(kind).alias("kind"),
        F.lit(SURFACE).alias("surface"),
        _request_id().alias("request_id"),
        files.start_of(F.col("week")).alias("request_at"),
    ]


def _text(column: str) -> Column:
    return F.col(column).cast("string")


def _exposure_counts(shown: DataFrame, until: datetime) -> DataFrame:
    counts = shown.where("household_id IS NULL").select(
        _text("product_id").alias("item_id"),
        F.lit("product").alias("item_kind"),
        files.start_of(F.col("week")).alias("period_start"),
        files.start_of(F.col("week") + 1).alias("period_end"),
        F.col("impressions").cast("double").alias("impressions"),
        F.col("clicks").cast("double").alias("clicks"),
    )
    # A week still running is not final, and nobody may use its totals before its end.
    return counts.where(F.col("period_end") <= moment(until))


def _judged(spark: SparkSession, purchases: DataFrame) -> Judged:
    """Purchase lines; those of a product nobody knows anything of cannot be used."""
    catalogue = files.read(spark, "products").select("product_id", F.lit(True).alias("listed"))
    lines = purchases.join(F.broadcast(catalogue), "product_id", "left")
    judged = judge(lines, "events", {"the product is not in the file of products": F.col("listed").isNull()})
    return Judged("events", judged.marked.drop("listed"))


def _union(table: str, frames: list[DataFrame]) -> DataFrame:
    """The frames one under the other; contract columns a frame lacks are null in its rows."""
    fields = schema_of(table).fields
    whole = [
        frame.select(
            *(
                F.col(field.name) if field.name in frame.columns else F.lit(None).cast(field.dataType).alias(field.name)
                for field in fields
            )
        )
        for frame in frames
    ]
    union = whole[0]
    for frame in whole[1:]:
        union = union.unionByName(frame)
    return union
