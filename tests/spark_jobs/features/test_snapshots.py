"""Snapshots: dates on a fixed grid, and only what happened strictly before each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from spark_jobs.features.snapshots import MONDAY, before_each, snapshot_dates
from spark_jobs.features.spending import spending_to_date

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TIMES = st.datetimes(datetime(2015, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@settings(deadline=None)
@given(TIMES, st.integers(0, 500), st.integers(1, 60))
def test_tomorrows_old_dates_are_todays(first: datetime, days: int, every: int) -> None:
    as_of = first + timedelta(days=days)
    tonight = snapshot_dates(first, as_of, every_days=every)
    tomorrow = snapshot_dates(first, as_of + timedelta(days=1), every_days=every)
    assert tonight[-1] == as_of
    assert tonight == sorted(set(tonight))
    assert all(date > first for date in tonight[:-1])
    assert all((date - MONDAY) % timedelta(days=every) == timedelta(0) for date in tonight[:-1])
    assert set(tonight[:-1]) <= set(tomorrow)


def test_each_snapshot_holds_what_was_before_it(spark: SparkSession) -> None:
    dates = [datetime(2026, 1, day, tzinfo=UTC) for day in (5, 12, 14)]
    moments = [
        ("a", 0.0, 1.0),
        ("a", 5.0, 2.0),
        ("b", 11.999, 4.0),
        ("a", 12.0, 8.0),
        ("b", 13.5, 16.0),
        ("b", 14.0, 32.0),
    ]
    begin = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=1)
    rows = spark.createDataFrame(
        [(user, begin + timedelta(days=day), value) for user, day, value in moments],
        "user_id STRING, ts TIMESTAMP, v DOUBLE",
    )
    sums = [one.to_dict() for one in before_each(rows, dates, keys=("user_id",), value=F.col("v"))]
    # At the very moment of a snapshot is too late for it.
    assert sums == [{"a": 1.0}, {"a": 3.0, "b": 4.0}, {"a": 11.0, "b": 20.0}]
    events = rows.select("user_id", "ts", F.lit("purchase").alias("kind"), F.col("v").alias("value"))
    other = rows.select("user_id", "ts", F.lit("click").alias("kind"), F.lit(1000.0).alias("value"))
    assert list(spending_to_date(events.unionByName(other), dates)) == sums
    nothing = rows.where("false")
    assert [one.to_dict() for one in before_each(nothing, dates, keys=("user_id",), value=F.col("v"))] == [{}, {}, {}]
