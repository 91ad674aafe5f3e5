"""Spending to date: what a user's purchases came to, strictly before a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.features.snapshots import before_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame


def spending_to_date(events: DataFrame, dates: Sequence[datetime]) -> Iterator[dict[str, float]]:
    """Spending by user at each date, in the currency of `value`; users who bought nothing are not listed.

    Args:
        events: the events table; a purchase's `value` is what was paid, null counts as nothing.
        dates: rising.
    """
    purchases = events.filter(F.col("kind") == "purchase")
    paid = F.coalesce(F.col("value"), F.lit(0.0))
    for sums in before_each(purchases, dates, keys=("user_id",), value=paid):
        yield {str(user): round(float(value), 6) for user, value in sums.items()}
