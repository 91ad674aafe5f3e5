"""Several trials of one run made at the same time; what is finished is never made again.

A trial is finished when its folder holds `metrics.json`, which is written last, and an `experiment.yaml` that says the
same as the trial: killed at any moment, in any process, the rest is simply made when the same work is asked for again.
Torch has one thread a trial, wherever it is made, unless the trial's own settings say otherwise: figures then depend
neither on how many are made at once nor on where.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segments.errors import RankingError
from spark_jobs.arena import Arena
from spark_jobs.experiment_settings import Trial

Report = dict[str, Any]
Told = Callable[[int, int, Trial, Report], None]
Attempt = Callable[[Trial, Path], Report]
# What makes trials in an arena: something to submit them to, and the function to submit.
Hands = Callable[[Arena], tuple[Executor, Attempt]]


class Crew:
    """Makes trials with many hands.

    Args:
        folder: each trial has a folder of its name in it.
        arena: reads the run; called once, and only if something is left to do.
        hands: `processes(n)`, or `trial_tasks.tasks(spark)`.
        on_trial: told (how many are done, of how many, trial, its report) whenever one ends, found ones included.
    """

    def __init__(
        self, folder: Path, arena: Callable[[], Arena], *, hands: Hands, on_trial: Told = lambda *_: None
    ) -> None:
        self.folder, self.hands, self.on_trial = folder, hands, on_trial
        self.made = 0
        self._arena = arena
        self._hired: tuple[Executor, Attempt] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hired is not None:
            self._hired[0].shutdown(wait=True, cancel_futures=True)
            self._hired = None

    def run(self, trials: Sequence[Trial]) -> dict[str, Report]:
        """Trial → what its `metrics.json` holds.

        Raises:
            RankingError: a trial failed, or its process was killed; those that ended are kept.
        """
        found = {trial.name: finished(self.folder / trial.name, trial) for trial in trials}
        done = {name: report for name, report in found.items() if report is not None}
        for place, trial in enumerate((t for t in trials if t.name in done), start=1):
            self.on_trial(place, len(trials), trial, done[trial.name])
        todo = [trial for trial in trials if trial.name not in done]
        if not todo:
            return done
        if self._hired is None:
            self._hired = self.hands(self._arena())
        pool, attempt = self._hired
        waiting = {pool.submit(attempt, trial, self.folder / trial.name): trial for trial in todo}
        broken: dict[str, RankingError] = {}
        for future in as_completed(waiting):
            trial = waiting[future]
            try:
                done[trial.name] = future.result()
            except RankingError as error:
                broken[trial.name] = error
                continue
            except BrokenProcessPool as error:
                raise RankingError(
                    "a process of the trials ended before its time",
                    where=str(self.folder),
                    hint="out of memory? give fewer --jobs and run again: what is finished is kept",
                ) from error
            self.made += 1
            self.on_trial(len(done), len(trials), trial, done[trial.name])
        if broken:
            name, first = next(iter(broken.items()))
            what = f"{len(broken)} of {len(trials)} trials failed: {first.what}"
            raise type(first)(what, where=name, hint=first.hint)
        return done


def finished(folder: Path, trial: Trial) -> Report | None:
    """The report of a trial that was made to its end in that folder, None if there is none."""
    try:
        said = (folder / "experiment.yaml").read_text(encoding="utf-8")
        report: Report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if said == trial.experiment().to_yaml() else None


def attempt_alone(arena: Arena, trial: Trial, folder: Path) -> Report:
    """Makes a trial with one torch thread; raises as `experiment.attempt`."""
    from spark_jobs.experiment import attempt
    from spark_jobs.models.loop import torch_threads

    with torch_threads(1):
        return attempt(arena, trial, folder)


def processes(jobs: int) -> Hands:
    """So many processes of this machine, each with an arena of its own."""

    def hire(arena: Arena) -> tuple[Executor, Attempt]:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(jobs, mp_context=context, initializer=_enter, initargs=(arena,)), _attempt

    return hire


# What a process of the crew was given when it began.
_given: list[Arena] = []


def _enter(arena: Arena) -> None:
    _given.append(arena)
    leave_with_parent()


def leave_with_parent() -> None:
    """A parent that was killed cannot say goodbye: without this its processes would wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _attempt(trial: Trial, folder: Path) -> Report:
    return attempt_alone(_given[0], trial, folder)
