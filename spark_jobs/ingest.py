"""Step 1: brings a source's events, items and users into the tables, as they were known at the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segments.errors import Refused
from spark_jobs.hour_base import HourBase
from spark_jobs.sources.clock import moment
from spark_jobs.sources.contract import HISTORY
from spark_jobs.sources.registry import build_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pyspark.sql import DataFrame

    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Writes events, items, users, exposure_counts and refused of this run.

    Raises:
        Refused: there are no events before the clock, or none on the day that ends at it.
        ContractBroken: the source's data is not what it should be.
    """
    # An hour of the same clock may have left its own: a night scores everything.
    night.warehouse.drop("changes", night.run)
    HourBase.forget(night.work, night.run)
    source = build_source(night.recipe.source)
    frames = source.tables(night.spark, night.as_of)
    try:
        rows = {"events": night.warehouse.write(frames["events"], "events", night.run, gate=fresh(night.as_of)).rows}
        for table in HISTORY[1:]:
            rows[table] = night.warehouse.write(frames[table], table, night.run).rows
    finally:
        source.release()
    counts = night.warehouse.read("exposure_counts", night.run).groupBy("item_kind")
    exact = counts.agg(F.sum("impressions").alias("impressions"), F.sum("clicks").alias("clicks")).collect()
    reasons = night.warehouse.read("refused", night.run).groupBy("reason").count().collect()
    return {
        "rows_in": sum(rows.values()),
        "rows_out": {table: count for table, count in rows.items() if table != "refused"},
        "refused": rows["refused"],
        "refused_reasons": {row["reason"]: row["count"] for row in sorted(reasons)},
        "exact_impressions": {row["item_kind"]: int(row["impressions"]) for row in sorted(exact)},
        "exact_clicks": {row["item_kind"]: int(row["clicks"]) for row in sorted(exact)},
    }


def fresh(as_of: datetime) -> Callable[[DataFrame], None]:
    """A gate for events: ranks of nothing, or of data that stopped coming, must not be published.

    It raises `Refused` if there is no event before `as_of`, or none in the 24 hours before it.
    """
    return lambda events: _refuse_stale(events, as_of)


def _refuse_stale(events: DataFrame, as_of: datetime) -> None:
    last = events.where(F.col("ts") < moment(as_of)).agg(F.max("ts").cast("string").alias("last")).first()
    if last is None or last["last"] is None:
        raise Refused(
            f"there are no events before {as_of:%Y-%m-%d %H:%M}", hint="choose a run date inside the period of the data"
        )
    day = as_of - timedelta(days=1)
    if last["last"] < day.strftime("%Y-%m-%d %H:%M:%S"):
        raise Refused(
            f"there are no events on the day before {as_of:%Y-%m-%d %H:%M}; the last is of {last['last'][:16]}",
            hint="has the load of events failed? else choose a run date inside the period of the data",
        )


def main() -> None:
    from spark_jobs.night import submit

    submit("ingest", run)


if __name__ == "__main__":
    main()
