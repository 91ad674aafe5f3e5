"""Brings the lists that were shown after the clock, and their clicks, into the tables: only `evaluate` reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spark_jobs.sources.contract import LISTS
from spark_jobs.sources.registry import build_source

if TYPE_CHECKING:
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Writes visits, list_items and visit_clicks of [as_of, as_of + test_days)."""
    source = build_source(night.recipe.source)
    frames = source.lists(night.spark, night.as_of, night.as_of + timedelta(days=night.recipe.test_days))
    try:
        rows = {table: night.warehouse.write(frames[table], table, night.run).rows for table in LISTS}
    finally:
        source.release()
    return {"rows_out": rows, "test_days": night.recipe.test_days}


def main() -> None:
    from spark_jobs.night import submit

    submit("outcomes", run)


if __name__ == "__main__":
    main()
