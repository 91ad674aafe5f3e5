"""Snapshots of user segments: dates on a fixed grid, so that tonight's old snapshots equal last night's.

A snapshot with `valid_from` d is made from what happened strictly before d, and serves visits that begin at d or later.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark.sql import Column, DataFrame

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


def snapshot_dates(first: datetime, as_of: datetime, *, every_days: int) -> list[datetime]:
    """Dates after `first` and before `as_of`, every so many days counted from Monday 1970-01-05, and `as_of` itself.

    >>> [f"{d:%m-%d}" for d in snapshot_dates(datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 3, 1, tzinfo=UTC),
    ...                                       every_days=28)]
    ['01-23', '02-20', '03-01']
    """
    step = timedelta(days=every_days)
    date = MONDAY + ((first - MONDAY) // step + 1) * step
    dates = []
    while date < as_of:
        dates.append(date)
        date += step
    return [*dates, as_of]


def dates_passed(moment: Column, dates: Sequence[datetime]) -> Column:
    """How many of the dates lie at or before a moment: the number of the first snapshot that may know an event then."""
    passed = F.lit(0)
    for date in dates:
        passed = passed + F.when(moment >= F.lit(_naive(date)), 1).otherwise(0)
    return passed


def before_each(
    rows: DataFrame, dates: Sequence[datetime], *, keys: Sequence[str], value: Column
) -> Iterator[pd.Series]:
    """For each date, the sum of `value` by keys over the rows with `ts` strictly before it.

    One pass in Spark; the sums are small enough for the driver (one row a key and date).
    """
    sums = (
        rows.withColumn("_snapshot", dates_passed(F.col("ts"), dates))
        .filter(F.col("_snapshot") < len(dates))
        .groupBy("_snapshot", *keys)
        .agg(F.sum(value).alias("_value"))
        .toPandas()
    )
    sums = sums.sort_values(["_snapshot", *keys], kind="stable")
    for number in range(len(dates)):
        yield sums[sums["_snapshot"] <= number].groupby(list(keys), sort=True)["_value"].sum()


def _naive(date: datetime) -> datetime:
    """The same moment as Spark's session (UTC) reads it, whatever the zone of this machine."""
    return date.astimezone(UTC)
