"""What an MLflow server would be told, by a stand-in that writes it down."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest

from segments.errors import MissingExtra
from spark_jobs.experiment_settings import Experiment, Trial
from spark_jobs.tracking import MlflowTracker
from tests.spark_jobs.small_arena import SHOP


class Mlflow(ModuleType):
    """Only what is called."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.told: dict[str, Any] = {}

    def set_experiment(self, name: str) -> None:
        self.told["experiment"] = name

    def start_run(self, *, run_name: str) -> Any:
        self.told["run"] = run_name
        return nullcontext()

    def set_tags(self, tags: dict[str, str]) -> None:
        self.told["tags"] = tags

    def log_params(self, values: dict[str, Any]) -> None:
        self.told["params"] = values

    def log_metrics(self, values: dict[str, float]) -> None:
        self.told["metrics"] = values


def test_a_trial_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", server)
    trial = Trial.of(Experiment.of({"training": {"epochs": 3}}), SHOP, name="t1")
    report = {"run": "r", "folder": "f", "fields": ["item"], "metrics": {"B": {"ndcg@20": 0.5, "intervals": {}}}}
    MlflowTracker("widths").record(trial, report)
    assert (server.told["experiment"], server.told["run"], server.told["tags"]["folder"]) == ("widths", "t1", "f")
    assert server.told["params"]["model.kind"] == "deepfm"
    assert server.told["params"]["training.epochs"] == 3
    assert server.told["metrics"] == {"B.ndcg_at_20": 0.5}


def test_without_it_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"es-ranking\[tracking\]"):
        MlflowTracker("widths")
