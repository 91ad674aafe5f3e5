"""The step `fit_segments` on a generated world: who is where, what is kept, and nothing from the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from segments.catalogue import Catalogue
from segments.errors import Refused
from segments.users import read_users
from spark_jobs import fit_segments
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from spark_jobs.sources.registry import build_source
from spark_jobs.sources.world_settings import WorldSettings
from spark_jobs.sources.world_truth import AGES, GENDERS, GRADES, Truth

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

WORLD: dict[str, Any] = {
    "kind": "world", "days": 16, "users": 400, "products": 60, "banners": 4, "brands": 12, "categories": 2,
    "requests_per_user_day": 1.0, "page": 6, "banner_slots": 1, "taste": 8.0, "click_rate": 0.2, "partitions": 2,
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "name": "small world",
    "source": WORLD,
    "families": {
        "demographic": {"kind": "demographic", "attributes": ["gender", "age"], "min_users": 10},
        "grade": {"kind": "grade", "measure": "points", "amounts": [1000, 2000], "min_users": 5},
        "maker": {"kind": "brand", "prefix": "m", "actions": ["click"], "groups": 4, "topics": 6, "min_users": 20},
        "both": {"kind": "crossed", "cross": ["demographic", "grade"], "min_users": 20},
    },
    "features": {"snapshot_days": 7},
    "shelves": {"product": {"index": "p", "fields": {"fields": [{"name": "item"}]}, "model": {"kind": "logistic"}}},
    "variants": {"A": {"scorer": "sales"}, "B": {"scorer": "model", "families": ["both", "demographic", "all"]}},
    "default_variant": "B",
}
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
AS_OF = BEGIN + timedelta(days=16)


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The world's tables at the clock, and the step run on them."""
    return fitted(spark, tmp_path_factory.mktemp("night"), AS_OF)


def fitted(spark: SparkSession, folder: Path, as_of: datetime, known_until: datetime | None = None) -> Night:
    """`known_until`: events from then on are dropped, as if they had never happened."""
    night = Night(spark, Recipe.of(RECIPE), as_of, str(folder / "tables"), folder / "work")
    source = build_source(night.recipe.source)
    frames = source.tables(spark, as_of)
    if known_until is not None:
        frames["events"] = frames["events"].where(F.col("ts") < F.lit(known_until))
    for table in ("events", "items", "users"):
        night.warehouse.write(frames[table], table, night.run)
    source.release()
    fit_segments.run(night)
    return night


def snapshot(night: Night, valid_from: datetime) -> dict[tuple[str, str], str]:
    rows = night.warehouse.read("user_segments", night.run).where(F.col("valid_from") == F.lit(valid_from)).collect()
    return {(row["user_id"], row["family"]): row["segment"] for row in rows}


def test_users_stand_where_their_attributes_say(night: Night) -> None:
    truth = Truth(WorldSettings.of(WORLD))
    users = read_users(night.folder("segments") / "users.jsonl")
    assert len(users) == 400
    for n in range(400):
        found = users.resolve(f"u{n:06d}")
        age = AGES[truth.age[n]].lower().replace("-", "_").replace("+", "plus")
        assert found["demographic"] == f"d_{GENDERS[truth.gender[n]]}_{age}"
        assert found["grade"] == f"g_{GRADES[truth.grade[n]]}"
        assert found.get("both") in (None, f"{found['demographic']}__{found['grade']}")


def test_the_catalogue_counts_them_and_a_picture_is_drawn(night: Night) -> None:
    folder = night.folder("segments")
    catalogue = Catalogue.load(folder / "catalogue.json")
    assert catalogue.run == night.run
    assert catalogue.families == ("demographic", "grade", "maker", "both")
    assert catalogue.segment("all").users == 400
    held = [segment.id for segment in catalogue.segments if segment.family == "maker"]
    assert 2 <= len(held) <= 4
    assert all(name.startswith("m_") for name in held)
    assert catalogue.chain("B") == ("both", "demographic", "all")
    now = snapshot(night, AS_OF)
    for segment in catalogue.segments:
        if segment.id != "all":
            assert segment.users == sum(one == segment.id for one in now.values())
    assert (folder / "maker.svg").stat().st_size > 0


def test_an_old_snapshot_knows_nothing_that_came_later(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    date = BEGIN + timedelta(days=14)
    past = fitted(spark, tmp_path, AS_OF, known_until=date)
    old, same = snapshot(night, date), snapshot(past, date)
    assert any(family == "maker" for _, family in old)
    assert same == old
    assert snapshot(past, AS_OF) != snapshot(night, AS_OF), "the later clicks were worth something"


def test_groups_are_called_as_they_were_last_night(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    """Last night's two groups are made to have each other's names, and one user to have been elsewhere."""
    earlier = Night(spark, Recipe.of(RECIPE), AS_OF - timedelta(hours=12), str(tmp_path / "tables"), tmp_path / "work")
    served = night.warehouse.read("user_segments", night.run).where(F.col("valid_from") == F.lit(AS_OF))
    held = sorted({name for (_, family), name in snapshot(night, AS_OF).items() if family == "maker"})
    other = {held[0]: held[1], held[1]: held[0]}
    renamed = F.coalesce(F.create_map(*(F.lit(name) for pair in other.items() for name in pair))[F.col("segment")],
                         F.col("segment"))  # fmt: skip
    mover = min(user for (user, family), name in snapshot(night, AS_OF).items() if name == held[0])
    before = served.withColumn("segment", F.when(F.col("user_id") == mover, held[0]).otherwise(renamed))
    before = before.where("family = 'maker'").withColumn("valid_from", F.lit(earlier.as_of))
    earlier.warehouse.write(before, "user_segments", earlier.run)
    tonight = fitted(spark, tmp_path, AS_OF)
    assert tonight.warehouse.runs("user_segments") == [earlier.run, tonight.run]
    was, now = snapshot(night, AS_OF), snapshot(tonight, AS_OF)
    for key, name in now.items():
        assert name == (other.get(was[key], was[key]) if key[1] == "maker" else was[key])
    for date in {row["valid_from"] for row in night.warehouse.read("user_segments", night.run).collect()}:
        old, new = snapshot(night, date.replace(tzinfo=UTC)), snapshot(tonight, date.replace(tzinfo=UTC))
        assert {key: other.get(name, name) for key, name in old.items()} == new, "one name means one group at all dates"


def test_the_report_counts_who_moved() -> None:
    before, now = {"a": "b_00", "b": "b_00", "c": "b_01"}, {"a": "b_00", "b": "b_01", "d": "b_01"}
    assert fit_segments.moves(before, now) == {"stayed": 1, "moved": 1, "came": 1, "left": 1}


def test_without_users_or_events_the_step_refuses(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    empty = Night(spark, Recipe.of(RECIPE), AS_OF, str(tmp_path / "tables"), tmp_path / "work")
    users = night.warehouse.read("users", night.run)
    empty.warehouse.write(users.where("false"), "users", empty.run)
    empty.warehouse.write(night.warehouse.read("events", night.run).where("false"), "events", empty.run)
    with pytest.raises(Refused, match="no users"):
        fit_segments.run(empty)
    empty.warehouse.write(users, "users", empty.run)
    with pytest.raises(Refused, match="no events"):
        fit_segments.run(empty)
