"""Trials as Spark tasks: the same results as in this process, found again when finished, errors told by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from segments.errors import RankingError, Refused
from spark_jobs import sweep
from spark_jobs.crew import Crew, attempt_alone
from spark_jobs.sweep_settings import Sweep
from spark_jobs.trial_tasks import tasks
from tests.spark_jobs.small_arena import SHOP, small_arena

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

SAID = Sweep.of(
    {
        "base": {"model": {"kind": "deepfm", "hidden": [8]}, "training": {"epochs": 2}},
        "grid": {"model.dim": [2, 4]},
    }
)


def test_tasks_make_what_a_process_makes_bit_for_bit_and_find_it_again(spark: SparkSession, tmp_path: Path) -> None:
    arena, lines = small_arena(tmp_path / "in"), list[str]()
    told = lambda done, of, trial, _: lines.append(f"{done}/{of} {trial.name}")  # noqa: E731
    with Crew(tmp_path / "out", lambda: arena, hands=tasks(), on_trial=told) as crew:
        report = sweep.run(SAID, SHOP, crew)
    assert crew.made == len(lines) == 2
    for trial in sweep.plan_of(SAID, SHOP):
        here = attempt_alone(arena, trial, tmp_path / "here" / trial.name)
        there = crew.run([trial])[trial.name]
        assert (there["metrics"], there["calibration"]) == (here["metrics"], here["calibration"])
        weights = [
            [path.read_bytes() for path in sorted((root / trial.name / "seed-7").glob("weights-*"))]
            for root in (tmp_path / "out", tmp_path / "here")
        ]
        assert weights[0] == weights[1] != []

    # A driver that was killed after one trial: the next makes the other alone.
    half = sorted((tmp_path / "out").glob("*/metrics.json"))[0]
    half.unlink()
    with Crew(tmp_path / "out", lambda: arena, hands=tasks(1)) as again:
        assert sweep.run(SAID, SHOP, again)["winner"] == report["winner"]
    assert again.made == 1


def test_a_task_that_fails_says_why(spark: SparkSession, tmp_path: Path) -> None:
    arena = small_arena(tmp_path / "in")
    trials = sweep.plan_of(SAID, SHOP)[:1]

    def made(broken: Any) -> None:
        with Crew(tmp_path / "out", lambda: broken, hands=tasks(1)) as crew:
            crew.run(trials)

    with pytest.raises(Refused, match="1 of 1 trials failed: there are no examples"):
        made(replace(arena, clock=0))
    with pytest.raises(RankingError, match=r"a task of the trials failed: .*FileNotFoundError"):
        made(replace(arena, examples=str(tmp_path / "nothing")))
