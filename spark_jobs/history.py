"""What was known at the clock: the small pieces of Spark that several steps cut history by."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame


def clock(time: datetime) -> Column:
    """A UTC time as a literal of the tables."""
    return F.lit(time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")).cast("timestamp")


def exact_sum(what: Column | str) -> Column:
    """A sum that is the same whatever the order of the rows: doubles added in another order differ in the last bit."""
    column = F.col(what) if isinstance(what, str) else what
    total = F.sum(column.cast("decimal(24,6)")).cast("double")
    return total.alias(what) if isinstance(what, str) else total


def current_segments(user_segments: DataFrame, as_of: datetime) -> DataFrame:
    """(user_id, family, segment) in force at the clock: each user's latest row of each family, `all` left out."""
    known = user_segments.where((F.col("valid_from") <= clock(as_of)) & (F.col("segment") != "all"))
    latest = known.groupBy("user_id", "family").agg(
        F.max(F.struct("valid_from", "weight", "segment")).getField("segment").alias("segment")
    )
    return latest.select("user_id", "family", "segment")
