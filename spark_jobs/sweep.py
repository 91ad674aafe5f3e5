"""Runs a sweep or an ablation with a crew, and leaves its table beside the trials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segments.errors import MissingExtra, Refused, UsageError
from segments.whole import write_whole
from spark_jobs.comparison import compare, winner
from spark_jobs.crew import Crew, Report
from spark_jobs.models.run_folder import finite
from spark_jobs.sweep_settings import Ablation, Search, Space, Sweep

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial
    from spark_jobs.recipe import Recipe


def plan_of(work: Sweep | Ablation, recipe: Recipe) -> list[Trial]:
    """The trials that are known beforehand; a search knows those of its first proposal only, which is the base."""
    if isinstance(work, Ablation):
        return [trial for trials in work.trials(recipe).values() for trial in trials]
    return [trial for cell in work.cells() for trial in work.trials_of(cell, recipe)]


def run(work: Sweep | Ablation, recipe: Recipe, crew: Crew) -> dict[str, Any]:
    """Makes what is not finished; returns (and writes as `sweep.json`) the comparison of all trials.

    The winner is chosen by the last days before the clock alone: the days after it say how good it is.

    Raises:
        RankingError: a trial failed.
        MissingExtra: a search without Optuna.
        Refused: a search, and nothing to choose by before the clock.
    """
    if isinstance(work, Sweep) and work.search is not None:
        trials = _search(work, work.search, recipe, crew)
    else:
        trials = plan_of(work, recipe)
        crew.run(trials)
    report: dict[str, Any] = {"name": work.name, "trials": len(trials), "made": crew.made, "folder": str(crew.folder)}
    report |= compare([crew.folder / trial.name for trial in trials], names=_names(trials))
    report["winner"] = winner(report["rows"], work.metric)
    write_whole(crew.folder / "sweep.json", json.dumps(finite(report), indent=1))
    return report


def _names(trials: Sequence[Trial]) -> dict[str, str]:
    """Trial → its name without the seed: what a row of the table is called."""
    return {trial.name: trial.name.rpartition("-s")[0].rpartition("-")[0] for trial in trials}


def _search(work: Sweep, search: Search, recipe: Recipe, crew: Crew) -> list[Trial]:
    """Proposals of a seeded sampler, told the results batch by batch.

    The same seed and the same results give the same proposals: run again, a search proposes what it has finished, finds
    it finished, and goes on from where it broke off. No database is kept.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingExtra.of("tuning", "optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=min(10, max(2, search.trials // 2)))
    study = optuna.create_study(direction="minimize" if work.metric == "logloss" else "maximize", sampler=sampler)
    made: dict[str, Trial] = {}
    for start in range(0, search.trials, search.batch):
        asked = [study.ask() for _ in range(min(search.batch, search.trials - start))]
        cells = [{key: _suggested(trial, key, space) for key, space in search.space.items()} for trial in asked]
        batch = [work.trials_of(cell, recipe) for cell in cells]
        unique = {trial.name: trial for trials in batch for trial in trials}
        reports = crew.run(list(unique.values()))
        for trial, trials in zip(asked, batch, strict=True):
            study.tell(trial, float(np.mean([_value(reports[t.name], work.metric) for t in trials])))
        made |= unique
    return list(made.values())


def _suggested(trial: Any, key: str, space: Space) -> Any:
    if space.choices:
        # A sampler wants plain values: lists are proposed by their place.
        return space.choices[trial.suggest_categorical(key, list(range(len(space.choices))))]
    assert space.low is not None
    assert space.high is not None
    if space.integer:
        return trial.suggest_int(key, int(space.low), int(space.high), log=space.log)
    return trial.suggest_float(key, space.low, space.high, log=space.log)


def _value(report: Report, metric: str) -> float:
    """Of the days before the clock that chose the epoch: what came after is not looked at."""
    values = [seed["training"].get(metric) for seed in report["seeds"]]
    if None in values:
        raise Refused("no clicks in the last days before the clock to choose by", hint="a later clock, or a `grid`")
    return float(np.mean(values))


def expanded(folders: Sequence[Path]) -> list[Path]:
    """Folders of runs; a sweep's folder stands for its trials.

    Raises:
        UsageError: a folder without a finished run.
    """
    found: list[Path] = []
    for folder in folders:
        inside = [folder] if (folder / "metrics.json").is_file() else sorted(
            path.parent for path in folder.glob("*/metrics.json") if (path.parent / "experiment.yaml").is_file()
        )  # fmt: skip
        if not inside:
            raise UsageError("no finished run here", where=str(folder), hint="a folder that holds metrics.json")
        found += inside
    return found
