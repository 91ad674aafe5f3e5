"""Labels of further tasks in the examples: the same request, before the clock, dwell long enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from segments.errors import UsageError
from spark_jobs import build_examples
from spark_jobs.fields import FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import read_examples
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from tests.spark_jobs.features.test_history import AS_OF, RECIPE, STORY, World, at


def night(spark: SparkSession, folder: Path, tasks: list[str]) -> Night:
    shelf: dict[str, Any] = dict(RECIPE["shelves"]["product"]) | {"model": {"kind": "mmoe", "tasks": tasks}}
    return Night(spark, Recipe.of({**RECIPE, "shelves": {"product": shelf}}), AS_OF, str(folder), folder / "work")


def test_labels_of_tasks(spark: SparkSession, tmp_path: Path) -> None:
    run = night(spark, tmp_path, ["purchase", "dwell"])
    shown = [row for row in STORY.events if row["kind"] == "impression"][:3]
    more = (
        {**shown[0], "kind": "dwell", "dwell_ms": 12_000, "event_id": "long"},
        {**shown[1], "kind": "dwell", "dwell_ms": 900, "event_id": "short"},
        {**shown[2], "kind": "dwell", "dwell_ms": 99_000, "event_id": "late", "ts": at(12)},
    )
    World((*STORY.events, *more), STORY.counts, STORY.segments).write(run, 1)
    build_examples.run(run)
    rows = run.warehouse.read("examples", run.run).collect()
    long = {(row["request_id"], row["item_id"]) for row in rows if row["label_dwell"]}
    assert long == {(shown[0]["request_id"], shown[0]["item_id"])}
    # In this story everything clicked is bought within the request, some of it after the clock.
    bought = {
        (row["request_id"], row["item_id"])
        for row in STORY.events
        if row["kind"] == "purchase" and row["ts"] < AS_OF and row["request_id"] is not None
    }
    assert {(row["request_id"], row["item_id"]) for row in rows if row["label_purchase"]} == bought
    encoder = Encoder(FieldSchema.of({"fields": [{"name": "item"}]}))
    read = read_examples(run.warehouse.folder("examples", run.run), encoder, tasks=("purchase", "dwell"))
    assert read.tasks is not None
    assert read.tasks.shape == (len(rows), 2)
    assert read.tasks[:, 1].sum() == 1.0
    with pytest.raises(UsageError, match="purchase"):
        build_examples.run(night(spark, tmp_path, ["purchas"]))
