"""What stays because something stands on it, what goes, and that a crash in the middle shows nothing half removed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.publish.begin import begin
from segments.errors import Refused
from spark_jobs.attempts import Recorder
from spark_jobs.backfill import TABLES
from spark_jobs.hour_base import HourBase
from spark_jobs.manifests import LocalFiles, Manifests
from spark_jobs.retention import ASIDE, Fate, plan_retention, published_runs, retain
from tests.es_ranking.publish.shop import Publisher, plan_for

NIGHTS = [f"201711{day:02}T000000" for day in range(20, 28)]
HOURS = [f"20171124T{hour:02}0000" for hour in range(1, 7)]
RANK_BYTES = b"x" * 1000


class Store:
    """A warehouse and a work folder, written without Spark."""

    def __init__(self, root: Path) -> None:
        self.root, self.work = root / "warehouse", root / "work"
        self.tables = Manifests(LocalFiles(), str(self.root))

    def write(self, run: str, *tables: str, whole: bool = True) -> None:
        for table in tables:
            folder = self.root / table / f"run={run}"
            (folder / "attempt-1").mkdir(parents=True)
            (folder / "attempt-1" / "part.parquet").write_bytes(RANK_BYTES)
            if whole:
                told = {"table": table, "run": run, "attempt": "attempt-1", "rows": 1, "columns": [], "schema": {}}
                (folder / "manifest.json").write_text(json.dumps(told))

    def night(self, run: str) -> None:
        self.write(run, *TABLES)
        self.keep(run, "segments/catalogue.json", "models/product/checkpoint.json")

    def hour(self, run: str, night: str, serving: str, *, models: bool = True) -> None:
        self.write(run, "events", "changes", "ranks")
        HourBase(night, {"product": serving}).write(self.work, run)
        if models:
            self.keep(run, "models/product/checkpoint.json")

    def keep(self, run: str, *files: str) -> None:
        for file in files:
            path = self.work / run / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")

    def fates(self, published: dict[str, list[str]] | None = None, **given: Any) -> dict[str, Fate]:
        keep = {"keep_nights": 2, "keep_hours": 0, **given}
        return {fate.run: fate for fate in plan_retention(self.tables, self.work, published=published, **keep)}

    def going(self, published: dict[str, list[str]] | None = None, **given: Any) -> list[str]:
        return [run for run, fate in self.fates(published, **given).items() if not fate.stays]

    def retain(self, **given: Any) -> None:
        retain(list(self.fates(**given).values()), self.tables, self.work)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_newest_nights_stay_and_all_that_is_older_goes(store: Store) -> None:
    for night in NIGHTS[:6]:
        store.night(night)
    store.write(NIGHTS[6], "events")  # has only begun
    store.write("20171101T000000", "events", whole=False)  # was killed long ago
    store.keep("20171102T000000", "steps/ingest.json")
    (store.work / "promoted" / "weights").mkdir(parents=True)
    (store.root / "events" / "run=copy-of-mine").mkdir(parents=True)
    assert store.going() == ["20171101T000000", "20171102T000000", *NIGHTS[:4]]
    assert store.going(keep_nights=6) == ["20171101T000000", "20171102T000000"]
    assert store.going(keep_nights=7) == []
    bytes_before = LocalFiles().size(str(store.root)) + LocalFiles().size(str(store.work))
    told = sum(fate.bytes for fate in store.fates().values() if not fate.stays)
    store.retain()
    assert bytes_before - LocalFiles().size(str(store.root)) - LocalFiles().size(str(store.work)) == told
    assert store.tables.runs("ranks") == NIGHTS[4:6]
    assert store.tables.begun("events") == [*NIGHTS[4:7], "copy-of-mine"]
    assert sorted(path.name for path in store.work.iterdir()) == [*NIGHTS[4:6], "promoted"]
    assert store.going() == []


def test_what_the_engine_holds_stays_with_the_night_it_goes_on_from(store: Store) -> None:
    for night in NIGHTS[:6]:
        store.night(night)
    store.hour(HOURS[0], NIGHTS[4], NIGHTS[4])
    published = {NIGHTS[1]: ["generation shop-a"], HOURS[0]: ["generation shop-b"], NIGHTS[0]: ["generation shop-b"]}
    assert store.going(published, keep_nights=1) == NIGHTS[2:4]
    assert store.fates(published)[NIGHTS[1]].stays == ("generation shop-a",)


def test_an_engine_that_knows_none_of_these_runs_is_another_one(store: Store) -> None:
    assert store.going({}) == []
    store.night(NIGHTS[0])
    for published in ({}, {"20160101T000000": ["generation elsewhere"]}):
        with pytest.raises(Refused, match="no generation in the engine is of a run in this warehouse"):
            store.fates(published)


def test_hours_go_but_for_the_newest_and_the_model_the_next_one_takes(store: Store) -> None:
    night = NIGHTS[4]
    store.night(night)
    store.hour(HOURS[0], night, night)
    store.hour(HOURS[1], night, HOURS[0])
    store.hour(HOURS[2], night, HOURS[0], models=False)
    assert store.going() == [HOURS[0], HOURS[2]]
    assert store.fates()[HOURS[1]].stays == (f"the newest product model after night {night}",)
    assert store.going(keep_hours=2) == [HOURS[0]]
    assert store.going(keep_hours=9) == []
    assert store.going({HOURS[0]: ["generation a"]}) == [HOURS[2]]
    # An hour that stays keeps its night, however old.
    for later in NIGHTS[6:]:
        store.night(later)
    assert store.going(keep_hours=1) == [HOURS[0]]
    assert store.going() == [night, *HOURS[:3]]


def test_what_runs_now_stays_and_what_it_began_from(store: Store) -> None:
    for night in NIGHTS[:4]:
        store.night(night)
    store.hour("20171120T010000", NIGHTS[0], NIGHTS[0], models=False)
    store.hour("20171120T020000", NIGHTS[0], "20171120T010000", models=False)
    assert NIGHTS[0] in store.going()
    with Recorder(store.work / "20171120T020000", ["score"], "world"):
        assert store.going() == [NIGHTS[1]]
        with Recorder(store.work / "20171120T020000", ["explore"], "world"):
            pass
        assert store.going() == [NIGHTS[1]], "the first one is still at work"
    assert store.going() == [NIGHTS[0], "20171120T010000", "20171120T020000", NIGHTS[1]]


def test_experiments_and_promotions_stay(store: Store) -> None:
    for night in NIGHTS[:3]:
        store.night(night)
    store.keep(NIGHTS[0], "experiments/deepfm/metrics.json")
    store.retain()
    assert [path.name for path in (store.work / NIGHTS[0]).iterdir()] == ["experiments"]
    assert (store.work / NIGHTS[0] / "experiments" / "deepfm" / "metrics.json").is_file()
    assert NIGHTS[0] not in store.fates()


@pytest.mark.parametrize("stop", range(0, 57, 7))
def test_stopped_anywhere_nothing_half_removed_is_visible_and_the_next_time_ends_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    for night in NIGHTS[:4]:
        store.night(night)
    calls = iter(range(1000))
    removed, moved = LocalFiles.remove, Path.replace

    def stopping(action: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            if next(calls) == stop:
                raise KeyboardInterrupt
            return action(*given)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "remove", stopping(removed))
        patch.setattr(Path, "replace", stopping(moved))
        with pytest.raises(KeyboardInterrupt):
            store.retain()
    for table in TABLES:
        for run in store.tables.runs(table):
            assert (store.root / table / f"run={run}" / "attempt-1" / "part.parquet").is_file(), "visible, so whole"
    store.retain()
    assert store.tables.begun("events") == NIGHTS[2:4]
    assert sorted(path.name for path in store.work.iterdir()) == NIGHTS[2:4]
    assert not (store.work / ASIDE).exists()


def test_the_engine_says_what_is_needed(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHTS[0])
    published(NIGHTS[1])
    begin(engine, plan_for(engine, index_name, NIGHTS[2]))
    found = published_runs(engine)
    # Others publish to this engine, too.
    for run in NIGHTS[:3]:
        assert f"generation {index_name}-{run.lower()}-1" in found[run]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    os.symlink(tmp_path / "precious", tmp_path / "link")
    LocalFiles().remove(str(tmp_path / "link"))
    LocalFiles().remove(str(tmp_path / "nothing"))
    assert (tmp_path / "precious" / "file").read_text() == "kept"
    assert not (tmp_path / "link").exists()
    assert LocalFiles().size(str(tmp_path)) == 4
    assert LocalFiles().size(str(tmp_path / "nothing")) == 0
