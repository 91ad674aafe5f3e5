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
    """(user_id, family, segment) in force at the clock: the last snapshot, `all` left out.

    A snapshot is whole: who is not in it has no segment any more, whatever an earlier one said.
    """
    known = user_segments.where(F.col("valid_from") <= clock(as_of))
    last = known.agg(F.max("valid_from").alias("valid_from"))
    current = known.join(F.broadcast(last), "valid_from", "left_semi").where(F.col("segment") != "all")
    return current.select("user_id", "family", "segment")
