"""Products and households of The Complete Journey, as they were known at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.sources import journey_files as files

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame, SparkSession

_DEMOGRAPHICS = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


def items(
    spark: SparkSession, purchases: DataFrame, shown: DataFrame, *, until: datetime, weeks: int | None
) -> DataFrame:
    """All products of the file; without `created_at` if never sold nor shown before `until`.

    Available is what was sold, or shown to somebody, in the last `weeks` weeks; without `weeks` the whole file: what
    may be promoted tomorrow needs a rank today. The price is that of the last sale.
    """
    sold = purchases.groupBy("product_id").agg(
        F.min("week").alias("first_sold"),
        F.max("week").alias("last_sold"),
        F.max(
            F.expr("IF(quantity > 0 AND sales_value > 0, struct(ts, basket_id, sales_value / quantity AS price), NULL)")
        ).alias("last_sale"),
    )
    on_show = shown.where("household_id IS NULL").groupBy("product_id")
    seen = on_show.agg(F.min("week").alias("first_shown"), F.max("week").alias("last_shown"))
    catalogue = files.read(spark, "products").join(sold, "product_id", "left").join(seen, "product_id", "left")
    first = F.least("first_sold", "first_shown")
    last = F.greatest("last_sold", "last_shown")
    lately = F.lit(True) if weeks is None else F.coalesce(last >= files.week_of(until) - weeks, F.lit(False))
    path = [_or_unknown(name) for name in ("department", "product_category", "product_type")]
    words = F.concat_ws(" ", "product_type", "product_category", "department", "brand", "package_size")
    named = F.concat_ws(" ", F.initcap(F.lower("product_type")), F.lower("package_size"))
    attributes = {
        "manufacturer": F.col("manufacturer_id").cast("string"),
        "brand_class": F.col("brand"),
        "department": F.col("department"),
        "category": F.col("product_category"),
        "type": F.col("product_type"),
        "package_size": F.col("package_size"),
    }
    return catalogue.select(
        F.col("product_id").cast("string").alias("item_id"),
        F.lit("product").alias("kind"),
        F.when(F.col("product_type").isNull(), F.concat(F.lit("Product "), "product_id"))
        .otherwise(named)
        .alias("title"),
        words.alias("text"),
        F.col("manufacturer_id").cast("string").alias("brand_id"),
        F.array(*path).alias("category"),
        F.round(F.col("last_sale.price"), 2).alias("price"),
        files.start_of(first).alias("created_at"),
        lately.alias("available"),
        known(attributes).alias("attributes"),
    )


def users(spark: SparkSession, purchases: DataFrame) -> DataFrame:
    """The households that have bought something; 801 of them with demographic attributes, the others with none."""
    first = purchases.groupBy("household_id").agg(F.min("ts").alias("registered_at"))
    attributes = known({name: F.col(name) for name in _DEMOGRAPHICS})
    return first.join(files.read(spark, "demographics"), "household_id", "left").select(
        F.col("household_id").cast("string").alias("user_id"), attributes.alias("attributes"), "registered_at"
    )


def known(columns: dict[str, Column]) -> Column:
    """A map of the columns that are not null."""
    pairs = [part for name, column in columns.items() for part in (F.lit(name), column)]
    return F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull())


def _or_unknown(name: str) -> Column:
    return F.coalesce(F.col(name), F.lit("unknown"))
