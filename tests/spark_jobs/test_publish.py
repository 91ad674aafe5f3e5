"""Two nights of a small shop from tables to the engine: what is copied holds what is written whole, or it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cli import nightly as door
from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.publish.generation import serving, users_alias, why_alias
from es_ranking.publish.plan import PublishPlan
from segments.catalogue import Catalogue
from segments.errors import RankingError, Refused
from spark_jobs import es_ranks, publish, publish_changes
from spark_jobs.hour_base import HourBase
from spark_jobs.night import Night
from spark_jobs.tables import schema_of
from tests.es_ranking.publish.shop import CATALOGUE, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

FIRST, SECOND = datetime(2026, 2, 2, tzinfo=UTC), datetime(2026, 2, 3, tzinfo=UTC)
ITEMS = [f"p{number:02d}" for number in range(30)]
NEW, GONE, MOVED, DEARER = "p99", "p29", "p10", "p02"
SEGMENTS = {"A": ("all",), "B": ("all", "d_young", "d_old")}
PLACES = 12
BELOW = 0.6


def tables_of(night: Night, *, second: bool, best: float = 1.0) -> None:
    """A night's tables. In the second an item is new, one is gone, one has other ranks and one another price."""
    names = [name for name in ITEMS if not (second and name == GONE)] + [NEW] * second
    items, ranks = [], []
    for name in names:
        price = 9.0 if second and name == DEARER else 1.5
        items.append((name, "product", f"Item {name}", None, "b1", ["FOOD", "SOUP"], price, FIRST, True, None,
                      {"colour": "red"}, None))  # fmt: skip
    for variant, segments in SEGMENTS.items():
        for segment in segments:
            scores = {name: best / (1 + int(name[1:])) for name in names}
            if second:
                scores[MOVED] = 0.011
            order = sorted(names, key=scores.__getitem__, reverse=True)
            for place, name in enumerate(order, start=1):
                ranks.append(("product", variant, segment, name, "FOOD", 0.5, 0.5, 1.0, 0.0, [], scores[name], place))
    users = [(f"u{number}", "demographic", "d_young" if number % 2 else "d_old", 1.0, FIRST - timedelta(days=1))
             for number in range(10 + second)]  # fmt: skip
    features = [(name, "product", "FOOD") for name in names]
    frames = {"items": items, "ranks": ranks, "user_segments": users, "item_features": features}
    for table, rows in frames.items():
        schema = schema_of(table)
        night.warehouse.write(night.spark.createDataFrame(rows, schema).coalesce(1), table, night.run)
    CATALOGUE.write(night.folder("segments") / "catalogue.json")


def night_at(spark: SparkSession, folder: Path, index: str, clock: datetime, *, below: float = BELOW) -> Night:
    settings = SETTINGS.model_copy(update={"delta_below": below, "why_places": PLACES})
    shelves = {"product": SimpleNamespace(index=index, personal=None)}
    recipe: Any = SimpleNamespace(shelves=shelves, publish=settings, default_variant="B")
    return Night(spark, recipe, clock, str(folder / "warehouse"), folder / "runs")


def held(engine: Engine, index: str) -> list[dict[str, Any]]:
    """What the engine holds under the name and its side names."""
    names = (index, why_alias(index), users_alias(index))
    hits = [engine.search(name, {"size": 100})["hits"]["hits"] for name in names]
    return [{hit["_id"]: hit["_source"] for hit in found} for found in hits]


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the tables of two nights are."""
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    path = tmp_path_factory.mktemp("nights")
    tables_of(night_at(spark, path, "x", FIRST), second=False)
    tables_of(night_at(spark, path, "x", SECOND), second=True)
    yield path
    spark.conf.set("spark.sql.shuffle.partitions", str(before))


@pytest.fixture
def nights(
    spark: SparkSession, engine_url: str, index_name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Night, Night]:
    """Two nights with their tables; the first is published."""
    monkeypatch.setenv("ES_URL", engine_url)
    first, second = (night_at(spark, folder, index_name, clock) for clock in (FIRST, SECOND))
    told: Any = publish.run(first)["product"]
    assert (told["copied"], told["written"]) == ({}, len(ITEMS))
    return first, second


def test_a_copied_night_is_the_whole_night_and_the_plan_shown_is_the_plan_run(
    nights: tuple[Night, Night], engine: Engine, index_name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, night = nights
    shown: dict[str, PublishPlan] = publish.plans(night)
    done: list[PublishPlan] = []
    real = publish.write_generation

    def told(engine: Engine, plan: PublishPlan, *given: Any, **named: Any) -> Any:
        done.append(plan)
        return real(engine, plan, *given, **named)

    monkeypatch.setattr(publish, "write_generation", told)
    figures: Any = publish.run(night)["product"]
    # Others use the disk meanwhile, and the engine measures an index's bytes anew every ten seconds.
    shown_and_run = [replace(plan, bytes_free=0, bytes_needed=0) for plan in (shown["product"], *done)]
    assert shown_and_run == [shown_and_run[0]] * 2
    assert shown["product"].changes[index_name] == {"added": 1, "changed": 2, "removed": 1, "same": 27}
    assert figures["copied"] == shown["product"].changes
    assert set(shown["product"].clones) == {index_name, why_alias(index_name), users_alias(index_name)}
    # Only what differs was written, and the index holds what a whole publish of the same tables holds.
    assert figures["written"] == 3
    other = f"{index_name}-other"
    whole: Any = publish.run(night_at(night.spark, folder, other, SECOND, below=0.0))["product"]
    assert (whole["copied"], whole["written"]) == ({}, len(ITEMS))
    assert held(engine, index_name) == held(engine, other)
    now = serving(engine, index_name)
    assert now is not None
    assert (now.meta.night, now.meta.as_of) == ("", SECOND.isoformat())
    # The command shows the same plan, and a run published again is written whole.
    monkeypatch.setattr("spark_jobs.recipe.load_recipe", lambda _: night.recipe)
    monkeypatch.setattr("spark_jobs.session.spark_session", lambda _: night.spark)
    arguments = ["run", "--source", "x", "--as-of", SECOND.isoformat(), "--step", "publish", "--dry-run",
                 "--warehouse", night.root, "--work", str(night.work), "--output", "json"]  # fmt: skip
    answer = CliRunner().invoke(door.group, arguments)
    assert answer.exit_code == 0, answer.output
    assert "the same run is published again; written whole" in answer.output
    assert held(engine, index_name) == held(engine, other)


def test_what_owners_have_written_since_is_overruled_by_a_copied_night(
    nights: tuple[Night, Night], engine: Engine, index_name: str
) -> None:
    """One more and one less keep the count; so does who changes what the night does not."""
    for name in ("p05", "mine"):
        assert engine.bulk([BulkAction(index_name, name, {"item_id": name, "price": 7.0})]).done == 1
    told: Any = publish.run(nights[1])["product"]
    assert told["copied"][index_name] == {"added": 1, "changed": 3, "removed": 2, "same": 26}
    now = held(engine, index_name)[0]
    assert sorted(now) == sorted({*ITEMS, NEW} - {GONE})
    assert (now["p05"]["price"], now["p05"]["list"]) == (1.5, "FOOD")


def test_tables_made_again_since_they_were_published_are_not_compared_with(
    nights: tuple[Night, Night], engine: Engine, index_name: str
) -> None:
    first, night = nights
    tables_of(first, second=False, best=2.0)
    shown = publish.plans(night)["product"]
    # The users' segments are still the same; documents and reasons are not those that serve.
    assert list(shown.clones) == [users_alias(index_name)]
    # An hour, which always copies, refuses.
    hour = replace(night, as_of=FIRST + timedelta(hours=1))
    tables_of(hour, second=True)
    HourBase(first.run, {"product": first.run}).write(hour.work, hour.run)
    with pytest.raises(Refused, match="are not those that"):
        publish_changes.run(hour)
    tables_of(first, second=False)
    assert index_name in publish.plans(night)["product"].clones
    publish_changes.run(hour)
    documents = held(engine, index_name)[0]
    assert {name for name, found in documents.items() if found["price"] == 9.0} == {DEARER}
    # After an hour the next night is compared with the hour's documents. An hour's reasons are not known exactly, and
    # it keeps the night's users: this hour's table has others.
    late = publish.plans(night)["product"]
    assert list(late.clones) == [index_name]
    assert late.changes[index_name] == {"added": 0, "changed": 0, "removed": 0, "same": 30}
    first.warehouse.drop("ranks", hour.run)
    assert "cannot be compared with" in publish.plans(night)["product"].why


def test_a_night_that_fails_while_it_is_written_leaves_the_one_before(
    nights: tuple[Night, Night], engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, night = nights
    before = held(engine, index_name)

    def broken(_: tuple[str, ...]) -> Any:
        def make(batch: Any) -> Any:
            raise ValueError(f"{batch.num_rows} rows cannot be read")

        return make

    def refused(*_: Any, **__: Any) -> Any:
        raise Refused("no")

    with monkeypatch.context() as patch:
        patch.setattr(publish, "main_documents", broken)
        with pytest.raises(RankingError, match="cannot be read"):
            publish.run(night)
    assert held(engine, index_name) == before
    with monkeypatch.context() as patch:
        patch.setattr(es_ranks, "finish", refused)
        with pytest.raises(Refused):
            publish.run(night)
    assert held(engine, index_name) == before
    assert {state.name for state in engine.indices(f"{index_name}*")} == set(
        serving(engine, index_name).generation.indices.values()  # type: ignore[union-attr]
    )
    assert Catalogue.load(night.folder("segments") / "catalogue.json") == CATALOGUE
    publish.run(night)
    assert NEW in held(engine, index_name)[0]
