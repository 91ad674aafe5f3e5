"""The step writes the source's tables, and refuses a night without data."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pyspark.sql import SparkSession

from segments.errors import Refused
from spark_jobs import ingest, outcomes
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from spark_jobs.sources.world_settings import WorldSettings

WORLD = WorldSettings(users=40, products=30, banners=4, brands=4, categories=2, days=6)


def night(spark: SparkSession, folder: Path, as_of: datetime) -> Night:
    """Both steps read two settings of a recipe: the source and the days to judge."""
    recipe = cast("Recipe", SimpleNamespace(source=WORLD, test_days=2))
    return Night(spark, recipe, as_of, str(folder / "warehouse"), folder / "work")


def test_tables_and_figures(spark: SparkSession, tmp_path: Path) -> None:
    made = night(spark, tmp_path, datetime(2026, 1, 9, tzinfo=UTC))
    figures = ingest.run(made)
    read = {name: made.warehouse.read(name, made.run).count() for name in ("events", "items", "users")}
    out = figures["rows_out"]
    assert isinstance(out, dict)
    assert {name: out[name] for name in read} == read
    assert figures["refused"] == 0
    events = made.warehouse.read("events", made.run)
    for name, kind in (("exact_impressions", "impression"), ("exact_clicks", "click")):
        counted = events.where(f"kind = '{kind}'").groupBy("item_kind").count().collect()
        assert figures[name] == {row["item_kind"]: row["count"] for row in counted}
    # The same night again gives the same tables.
    before = sorted(row["event_id"] for row in events.select("event_id").collect())
    assert ingest.run(made)["rows_out"] == out
    again = made.warehouse.read("events", made.run).select("event_id").collect()
    assert sorted(row["event_id"] for row in again) == before


def test_what_happened_after_the_clock(spark: SparkSession, tmp_path: Path) -> None:
    made = night(spark, tmp_path, datetime(2026, 1, 9, tzinfo=UTC))
    figures = outcomes.run(made)
    days = {row["request_at"].date().isoformat() for row in made.warehouse.read("visits", made.run).collect()}
    assert days == {"2026-01-09", "2026-01-10"}
    assert figures["test_days"] == 2


@pytest.mark.parametrize(
    ("as_of", "complaint"),
    [
        (datetime(2026, 1, 5, tzinfo=UTC), "there are no events before 2026-01-05 00:00"),
        (datetime(2025, 6, 1, tzinfo=UTC), "there are no events before 2025-06-01 00:00"),
        (datetime(2026, 1, 13, tzinfo=UTC), "no events on the day before 2026-01-13 00:00; the last is of 2026-01-10"),
    ],
)
def test_a_run_date_without_data_is_refused(
    spark: SparkSession, tmp_path: Path, as_of: datetime, complaint: str
) -> None:
    made = night(spark, tmp_path, as_of)
    with pytest.raises(Refused, match=complaint) as error:
        ingest.run(made)
    assert error.value.exit_code == 3
    assert made.warehouse.runs("events") == []
