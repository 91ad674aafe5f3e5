"""Hourly step 6: the night's draws of everything that has not changed join those of what has.

A draw is keyed by week, variant, segment and item, so an item that is still there keeps its number; lists are then
filtered and ranked whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.hour_base import HourBase

if TYPE_CHECKING:
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Writes `draws` whole."""
    tables, base = night.warehouse, HourBase.read(night.work, night.run)
    changes = F.broadcast(tables.read("changes", night.run).select("item_kind", "item_id"))
    on = ["item_kind", "item_id"]
    fresh = tables.read("draws", night.run).join(changes, on, "left_semi")
    names = fresh.columns
    kept = tables.read("draws", base.night).join(changes, on, "left_anti")
    rows = tables.write(fresh.select(*names).unionByName(kept.select(*names)), "draws", night.run).rows
    return {"rows_out": rows}


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("carry_over", run)


if __name__ == "__main__":
    main()
