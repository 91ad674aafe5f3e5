from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from segments.errors import Refused
from spark_jobs import train
from spark_jobs.models.checkpoint import load
from spark_jobs.models.settings import DeepFMSettings
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.recipe import ShelfRecipe
from tests.contracts.killed import killed_after
from tests.contracts.ranker import SCHEMA, TRAINING, items_of, world

SETTINGS = TRAINING.model_copy(update={"epochs": 2, "checkpoint_every": 6})


def night(folder: Path, training: TrainingSettings) -> Any:
    """What the step asks of a night, from plain files: no Spark."""
    shelf = ShelfRecipe(index="shop", fields=SCHEMA, model=DeepFMSettings(dim=4), training=training)
    return SimpleNamespace(
        clock=3000 * 1_000_000,
        valid_from=2250 * 1_000_000,
        recipe=SimpleNamespace(shelves={"product": shelf}),
        warehouse=SimpleNamespace(folder=lambda table, _: f"file:{folder.parent / table}"),
        run="r",
        folder=lambda name: folder / name,
        log=logging.getLogger("test"),
    )


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    table, _ = world(3500)
    for name, rows in (("examples", table), ("item_features", items_of(60))):
        (tmp_path / name).mkdir()
        kinds = pa.array(["product"] * rows.num_rows)
        pq.write_table(rows.append_column("item_kind", kinds), tmp_path / name / "part.parquet")
    return tmp_path


@pytest.mark.parametrize("memory_rows", [10_000, 100])
def test_a_killed_step_is_gone_on_with_by_running_it_again(memory_rows: int, tables: Path) -> None:
    settings = SETTINGS.model_copy(update={"memory_rows": memory_rows, "block_rows": 800})
    train.run(night(tables / "whole", settings.model_copy(update={"checkpoint_every": 0})))
    with killed_after(6):  # in the refit
        train.run(night(tables / "killed", settings))
    folder = tables / "killed" / "models" / "product"
    assert (folder / "unfinished").is_dir()
    with pytest.raises(Refused, match=r"training\.seed was 7, is now 8"):
        train.run(night(tables / "killed", settings.model_copy(update={"seed": 8})))
    figures = train.run(night(tables / "killed", settings))
    assert not (folder / "unfinished").exists()
    one, other = load(folder, training=True), load(tables / "whole" / "models" / "product", training=True)
    for mine, theirs in ((one.model.state_dict(), other.model.state_dict()), (one.state, other.state)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert one.calibration == other.calibration
    assert figures["product"]["examples"] == 3000  # type: ignore[index]


def test_segments_are_reported_by_name(tables: Path) -> None:
    train.run(night(tables / "whole", SETTINGS))
    metrics = json.loads((tables / "whole" / "models" / "product" / "metrics.json").read_text())
    assert set(metrics["segments"]) == {"taste", "age"}
    assert set(metrics["segments"]["age"]) == {"old", "young"}
    young = metrics["segments"]["age"]["young"]
    assert young["low"] <= young["ratio"] <= young["high"]
    assert metrics["valid_examples"] == 750
