"""Sweeps and ablations on the planted shop: parallel, resumable, side by side."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from segments.errors import MissingExtra, Refused, UsageError
from spark_jobs import sweep
from spark_jobs.arena import Arena
from spark_jobs.crew import Crew, finished, processes
from spark_jobs.experiment import attempt
from spark_jobs.experiment_settings import Experiment, Trial
from spark_jobs.models.partial import Partial
from spark_jobs.sweep_settings import Ablation, Sweep
from tests.spark_jobs.small_arena import SHOP, small_arena

GRID = {
    "base": {"model": {"kind": "two_tower", "hidden": [8], "out": 4}, "training": {"epochs": 2}, "seeds": [7, 8]},
    "grid": {"model.dim": [2, 4]},
}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    return small_arena(tmp_path_factory.mktemp("arena"))


class Alone(Crew):
    """The same crew in this process: what is made does not depend on where."""

    def __init__(self, folder: Path, arena: Any) -> None:
        super().__init__(folder, arena, hands=processes(1))

    def run(self, trials: Any) -> Any:
        done = {}
        for trial in trials:
            report = finished(self.folder / trial.name, trial)
            if report is None:
                report = attempt(self._arena(), trial, self.folder / trial.name)
                self.made += 1
            done[trial.name] = report
        return done


@pytest.fixture(scope="module")
def swept(arena: Arena, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    folder = tmp_path_factory.mktemp("sweep")
    lines: list[str] = []
    told = lambda done, of, trial, _: lines.append(f"{done}/{of} {trial.name}")  # noqa: E731
    with Crew(folder, lambda: arena, hands=processes(2), on_trial=told) as crew:
        report = sweep.run(Sweep.of(GRID), SHOP, crew)
    return folder, report, lines


def test_a_grid_by_seeds_is_made_in_several_processes(swept: tuple[Path, dict[str, Any], list[str]]) -> None:
    folder, report, lines = swept
    assert report["made"] == report["trials"] == len(lines) == 4
    assert sorted(line.split()[0] for line in lines) == ["1/4", "2/4", "3/4", "4/4"]
    assert {row["name"]: row["seeds"] for row in report["rows"]} == {"dim-2": [7, 8], "dim-4": [7, 8]}
    for row in report["rows"]:
        assert row["gauc"]["low"] < row["gauc"]["value"] < row["gauc"]["high"]
        assert 0.0 < row["mrr@20"]["value"] <= 1.0
    assert report["rows"][0]["parameters"] < report["rows"][1]["parameters"]
    assert json.loads((folder / "sweep.json").read_text())["rows"] == report["rows"]


def test_finished_trials_are_not_run_again_and_half_made_ones_are(
    arena: Arena, swept: tuple[Path, dict[str, Any], list[str]]
) -> None:
    folder, report, _ = swept
    unread = lambda: pytest.fail("nothing is left to do, so nothing is read")  # noqa: E731
    with Crew(folder, unread, hands=processes(1)) as crew:
        assert sweep.run(Sweep.of(GRID), SHOP, crew)["rows"] == report["rows"]
    half = sorted(path.parent for path in folder.glob("*/metrics.json"))[0]
    before = json.loads((half / "metrics.json").read_text())
    (half / "metrics.json").unlink()
    with Alone(folder, lambda: arena) as crew:
        assert sweep.run(Sweep.of(GRID), SHOP, crew)["made"] == 1
    assert json.loads((half / "metrics.json").read_text())["metrics"] == before["metrics"]


def test_what_came_after_the_clock_does_not_choose(
    swept: tuple[Path, dict[str, Any], list[str]], tmp_path: Path
) -> None:
    folder, report, _ = swept
    before = {row["name"]: row["before"]["gauc"]["value"] for row in report["rows"]}
    best = max(before, key=before.__getitem__)
    assert report["winner"]["name"] == best
    assert report["winner"]["before"]["value"] == before[best]
    shutil.copytree(folder, tmp_path / "again")
    for path in (tmp_path / "again").glob("dim-*/metrics.json"):
        told = json.loads(path.read_text())
        for seed in told["seeds"]:
            seed["metrics"]["B"]["gauc"] = float(not path.parent.name.startswith(best))
        path.write_text(json.dumps(told))
    with Alone(tmp_path / "again", lambda: pytest.fail("all is made")) as crew:
        doctored = sweep.run(Sweep.of(GRID), SHOP, crew)
    assert max(doctored["rows"], key=lambda row: row["gauc"]["value"])["name"] != best
    assert doctored["winner"]["name"] == best
    assert doctored["winner"]["after"]["gauc"]["value"] == 0.0


def test_a_changed_base_is_another_trial(swept: tuple[Path, dict[str, Any], list[str]]) -> None:
    folder, _, _ = swept
    changed = {**GRID, "base": {**GRID["base"], "training": {"epochs": 3}}}  # type: ignore[dict-item]
    assert all(finished(folder / trial.name, trial) is None for trial in sweep.plan_of(Sweep.of(changed), SHOP))
    assert all(finished(folder / trial.name, trial) for trial in sweep.plan_of(Sweep.of(GRID), SHOP))


KILLED = """
import pickle, sys
from pathlib import Path
from spark_jobs import sweep
from spark_jobs.crew import Crew, processes
from spark_jobs.experiment_settings import Trial
from spark_jobs.sweep_settings import Sweep
from tests.spark_jobs.small_arena import SHOP, small_arena
from tests.spark_jobs.test_sweep import GRID

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with Crew(folder / "out", lambda: small_arena(folder / "in"), hands=processes(1),
              on_trial=lambda *_: print("made", flush=True)) as crew:
        sweep.run(Sweep.of(GRID), SHOP, crew)
"""


def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "made\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        # The pipe ends when the last process of the crew has gone: none is left behind.
        process.stdout.read()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/metrics.json")}
    assert 1 <= len(made) < 4
    with Alone(tmp_path / "out", lambda: small_arena(tmp_path / "in")) as crew:
        report = sweep.run(Sweep.of(GRID), SHOP, crew)
    assert report["made"] == 4 - len(made)
    assert all(path.stat().st_mtime_ns == at for path, at in made.items())


def test_a_killed_trial_goes_on_in_the_middle_and_streams_what_memory_does_not_hold(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {"epochs": 2, "checkpoint_every": 20, "memory_rows": 100, "block_rows": 800}
    trial = Trial.of(Experiment.of({"training": training, "seeds": [7, 8]}), SHOP)
    whole = attempt(arena, trial, tmp_path / "whole")
    assert whole["seeds"][0]["training"]["examples"] == 2400
    real, saved = Partial.save, list[Path]()

    def save_then_stop(self: Partial, *given: Any) -> None:
        real(self, *given)
        saved.append(self.folder)
        if self.folder.parts[-2:] == ("seed-8", "refit"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Partial, "save", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            attempt(arena, trial, tmp_path / "killed")
    steps = len(saved)
    assert not (tmp_path / "killed" / "metrics.json").exists()
    with monkeypatch.context() as patch:
        patch.setattr(Partial, "save", lambda self, *_: saved.append(self.folder))
        again = attempt(arena, trial, tmp_path / "killed")
    assert len(saved) - steps < steps / 2, "what was trained is not trained again"
    assert again["metrics"] == whole["metrics"]
    assert not (tmp_path / "killed" / "unfinished").exists()


def test_an_ablation_says_what_a_field_is_worth(arena: Arena, tmp_path: Path) -> None:
    said = Ablation.of(
        {
            "base": {"training": {"epochs": 4}},
            "sets": {"names-only": {"only": ["item", "demographic"]}},
            "groups": {"taste": ["demographic"]},
        }
    )
    with Alone(tmp_path, lambda: arena) as crew:
        rows = {row["name"]: row for row in sweep.run(said, SHOP, crew)["rows"]}
    assert set(rows) == {"all", "names-only", "without-taste"}
    assert rows["all"]["gauc"]["value"] > rows["without-taste"]["gauc"]["value"] + 0.15
    assert set(Ablation().trials(SHOP)) == {
        "all", *(f"without-{name}" for name in ("item", "brand", "item_rate", "text_vector", "demographic", "display"))
    }  # fmt: skip


def test_a_trial_that_fails_is_named_and_the_others_are_kept(arena: Arena, tmp_path: Path) -> None:
    trials = sweep.plan_of(Sweep.of(GRID), SHOP)
    told: list[str] = []

    def attempted(trial: Trial, folder: Path) -> dict[str, Any]:
        if trial is trials[0]:
            raise Refused("no clicks", hint="more days")
        return {"trial": trial.name}

    hands = lambda _: (ThreadPoolExecutor(1), attempted)  # noqa: E731
    with (
        Crew(tmp_path, lambda: arena, hands=hands, on_trial=lambda *a: told.append(a[2].name)) as crew,
        pytest.raises(Refused, match="1 of 4 trials failed: no clicks") as refused,
    ):
        crew.run(trials)
    assert refused.value.where == trials[0].name
    assert sorted(told) == sorted(trial.name for trial in trials[1:])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"grid": {"model.dim": [4]}, "search": {"space": {"model.dim": {"low": 1, "high": 2}}}}, "not both"),
        ({"search": {"space": {"model.dim": {"low": 3}}}}, "higher `high`"),
        ({"grid": {"seeds": [[1]]}}, "cannot set 'seeds'"),
        ({"metric": "ndcg@20"}, "gauc"),
        ({"grid": {"model.depth": [3]}}, "depth"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sweep.plan_of(Sweep.of(values), SHOP)


def test_a_search_names_its_extra_or_goes_on_from_where_it_was(arena: Arena, tmp_path: Path) -> None:
    said = Sweep.of(
        {
            "base": {"model": {"kind": "two_tower", "hidden": [4], "out": 4}, "training": {"epochs": 1}},
            "search": {"trials": 4, "space": {"model.dim": {"low": 1, "high": 8, "integer": True}}},
        }
    )
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MissingExtra, match="optuna"), Alone(tmp_path, lambda: arena) as crew:
            sweep.run(said, SHOP, crew)
        return
    with Alone(tmp_path, lambda: arena) as crew:
        first = sweep.run(said, SHOP, crew)
    assert crew.made == len(first["rows"]) >= 2
    with Alone(tmp_path, lambda: pytest.fail("all proposals are finished")) as crew:
        assert sweep.run(said, SHOP, crew)["rows"] == first["rows"]
    # Whatever is known of the days after the clock, the same is proposed: it is not looked at.
    for path in tmp_path.glob("*/metrics.json"):
        told = json.loads(path.read_text())
        told["metrics"]["B"]["gauc"] = told["seeds"][0]["metrics"]["B"]["gauc"] = 1.0 - len(path.parent.name) / 100
        path.write_text(json.dumps(told))
    with Alone(tmp_path, lambda: pytest.fail("all proposals are finished")) as crew:
        assert [row["name"] for row in sweep.run(said, SHOP, crew)["rows"]] == [row["name"] for row in first["rows"]]
