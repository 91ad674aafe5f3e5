"""The steps `train` and `score` with a cascade and rows of bytes, on real Spark, against both grids in memory."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from segments.errors import Refused
from spark_jobs import score, train
from spark_jobs.models.cascade import Cascade, bar_of
from spark_jobs.models.checkpoint import load
from spark_jobs.models.grid import Grid
from spark_jobs.models.int8_rows import as_bytes
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from tests.spark_jobs.test_train_and_score import RECIPE, planted, scores

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

SCORING = {"rows": "int8", "cascade": {"model": {"kind": "fm", "dim": 4}, "top": 6, "lists": "brand"}}
SEGMENTS = {"all": {}, "d_a": {"demographic": "d_a"}, "d_b": {"demographic": "d_b"}}


def test_a_night_of_a_cascade(spark: SparkSession, tmp_path: Path) -> None:
    made = planted(spark, tmp_path)
    shelf = {**RECIPE["shelves"]["product"], "scoring": SCORING}  # type: ignore[index]
    night = Night(spark, Recipe.of({**RECIPE, "shelves": {"product": shelf}}), made.as_of, made.root, made.work)
    figures = train.run(night)
    assert figures["product"]["cheap"]["examples"] == figures["product"]["examples"]  # type: ignore[index]
    score.run(night)

    folder = night.folder("models") / "product"
    items = night.warehouse.read("item_features", night.run).where("item_kind = 'product'").toArrow()
    cheap, deep = Grid(load(folder / "cheap")), Grid(as_bytes(load(folder)))
    without = Cascade(cheap, deep, lists="brand")
    viewers = without.segments(list(SEGMENTS.values()))
    bars = {name: bar_of([chances], 6) for name, chances in without.tops(items, viewers, 6)}
    expected = Cascade(cheap, deep, lists="brand", bars=bars).score(items, viewers)
    for place, segment in enumerate(SEGMENTS):
        found = scores(night, "product", "B", segment)
        told = np.array([found[item] for item in items.column("item_id").to_pylist()])
        assert np.abs(told - expected[:, place]).max() <= 1e-6

    shutil.rmtree(folder / "cheap")
    with pytest.raises(Refused, match="no checkpoint here"):
        score.run(night)
