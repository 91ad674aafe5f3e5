from __future__ import annotations

import json
import math
from pathlib import Path

import yaml

from spark_jobs.models.run_folder import write_run
from spark_jobs.models.settings import DeepFMSettings
from spark_jobs.models.training_settings import TrainingSettings


def test_a_run_leaves_configuration_figures_and_curves(tmp_path: Path) -> None:
    curve = [{"epoch": 1.0, "train_loss": 0.5, "gauc": math.nan}, {"epoch": 2.0, "train_loss": 0.4, "gauc": 0.7}]
    blocks = {"model": DeepFMSettings(dim=3), "training": TrainingSettings()}
    write_run(tmp_path / "run", settings=blocks, metrics={"gauc": math.nan, "rows": 3}, curve=curve)
    written = yaml.safe_load((tmp_path / "run/configuration.yaml").read_text())
    assert DeepFMSettings.of(written["model"]) == blocks["model"]
    assert TrainingSettings.of(written["training"]) == blocks["training"]
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == {"gauc": None, "rows": 3}
    assert (tmp_path / "run/curves.csv").read_text().splitlines()[0] == "epoch,train_loss,gauc"
    assert (tmp_path / "run/curves.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "run").glob("*.tmp*"))
