"""Which nights of a span would run, and why; nothing runs here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from segments.errors import UsageError
from spark_jobs.backfill import PERSONAL, PUBLISH, RANKED, TABLES, midnights, plan_backfill
from spark_jobs.manifests import LocalFiles, Manifests
from spark_jobs.models.personal_settings import PersonalSettings
from spark_jobs.nightly import NIGHTLY
from spark_jobs.recipe import Recipe, load_recipe
from spark_jobs.tables import SCHEMAS

FIRST, LAST = datetime(2017, 11, 26, tzinfo=UTC), datetime(2017, 11, 28, tzinfo=UTC)
RUNS = ["20171126T000000", "20171127T000000", "20171128T000000"]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    whole = load_recipe("world")
    shelf = next(iter(whole.shelves.values())).model_copy(update={"personal": None})
    return whole.model_copy(update={"shelves": {"product": shelf}})


def write(root: Path, run: str, *tables: str) -> None:
    for table in tables:
        folder = root / "tables" / table / f"run={run}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(
            {"table": table, "run": run, "attempt": "a", "rows": 1, "columns": [], "schema": {}}))  # fmt: skip


def write_night(root: Path, run: str) -> None:
    write(root, run, *TABLES)
    for file in ("segments/catalogue.json", "models/product/checkpoint.json"):
        path = root / "work" / run / file
        path.parent.mkdir(parents=True)
        path.write_text("{}")


def planned(root: Path, recipe: Recipe, served: dict[str, str] | None = None) -> list[tuple[tuple[str, ...], str]]:
    tables = Manifests(LocalFiles(), str(root / "tables"))
    found = plan_backfill(midnights(FIRST, LAST), recipe, tables=tables, work=root / "work", served=served)
    assert [night.to_dict()["run"] for night in found] == RUNS
    return [(night.steps, night.why) for night in found]


def test_the_tables_of_a_night_are_known() -> None:
    """A table that is new to the warehouse is either a night's, or named here."""
    assert {*TABLES, PERSONAL, "changes", "visits", "list_items", "visit_clicks"} == set(SCHEMAS)
    assert (*RANKED, PUBLISH) == NIGHTLY


def test_whole_nights_are_skipped_and_others_run_whole(tmp_path: Path, recipe: Recipe) -> None:
    write_night(tmp_path, RUNS[0])
    write(tmp_path, RUNS[1], *TABLES[:-1])
    first, second, third = planned(tmp_path, recipe)
    assert first == ((), "whole")
    assert second == (RANKED, "lacks ranks, the catalogue, the checkpoint of products")
    assert third[0] == RANKED
    # It goes on where it ended.
    write(tmp_path, RUNS[1], "ranks")
    (tmp_path / "work" / RUNS[1] / "segments").mkdir(parents=True)
    (tmp_path / "work" / RUNS[1] / "segments" / "catalogue.json").write_text("{}")
    assert planned(tmp_path, recipe)[1] == (RANKED, "lacks the checkpoint of products")


def test_an_hour_of_the_same_clock_is_no_night(tmp_path: Path, recipe: Recipe) -> None:
    write_night(tmp_path, RUNS[0])
    write(tmp_path, RUNS[0], "changes")
    steps, why = planned(tmp_path, recipe)[0]
    assert steps == RANKED
    assert "hour" in why


def test_item_vectors_count_where_the_recipe_has_them(tmp_path: Path, recipe: Recipe) -> None:
    shelf = recipe.shelves["product"].model_copy(update={"personal": PersonalSettings()})
    write_night(tmp_path, RUNS[0])
    personal = recipe.model_copy(update={"shelves": {"product": shelf}})
    assert planned(tmp_path, personal)[0] == (RANKED, "lacks taste_vectors")


@pytest.mark.parametrize(
    ("served", "remade", "whole", "why"),
    [
        ("", True, True, "the last night is published"),
        (RUNS[0], True, True, "the last night is published"),
        # What serves was made of other tables than those that are made anew.
        (RUNS[2], True, False, "it serves already"),
        ("20171128T010000", False, False, "shop serves 20171128T010000, which is newer"),
    ],
)
def test_only_the_last_night_is_published_and_never_over_a_newer_one(
    tmp_path: Path, recipe: Recipe, served: str, remade: bool, whole: bool, why: str
) -> None:
    steps = [night[0] for night in planned(tmp_path, recipe, {"shop": served})]
    assert steps == [RANKED, RANKED, NIGHTLY if remade else RANKED]
    for run in RUNS:
        write_night(tmp_path, run)
    nights = planned(tmp_path, recipe, {"shop": served})
    assert [night[0] for night in nights] == [(), (), (PUBLISH,) if whole else ()]
    assert why in nights[-1][1]


def test_a_publish_that_was_killed_between_two_shelves_is_repeated(tmp_path: Path, recipe: Recipe) -> None:
    write_night(tmp_path, RUNS[2])
    assert planned(tmp_path, recipe, {"shop": RUNS[2], "banners": RUNS[1]})[-1][0] == (PUBLISH,)


def test_a_span_that_ends_before_it_begins() -> None:
    with pytest.raises(UsageError, match="2017-11-26 is before 2017-11-28"):
        midnights(LAST, FIRST)
