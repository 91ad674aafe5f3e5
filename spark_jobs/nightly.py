"""The main job: the steps in order. A step is a file with `run(night)`; steps meet in tables, never in imports."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from segments.errors import UsageError
from spark_jobs.attempts import Recorder
from spark_jobs.night import Night, Step, run_step

# Events, items and users become ranks in the index.
NIGHTLY = ("ingest", "fit_segments", "build_examples", "train", "embed", "score", "explore", "filter_lures",
           "publish")  # fmt: skip
# What came since the night: the model on the last hours, ranks of what is new, back, changed or gone.
HOURLY = ("catch_up", "build_examples", "update_models", "score", "explore", "carry_over", "filter_lures",
          "publish_changes")  # fmt: skip
# What happened after the clock judges the ranks that were frozen at it.
JUDGE = ("outcomes", "evaluate")
# What people look at.
SHOW = ("showcase", "report")
STEPS = tuple(dict.fromkeys((*NIGHTLY, *HOURLY, *JUDGE, *SHOW, "load_tastes", "train_personal")))


def step_named(name: str) -> Step:
    """The step's `run`.

    Raises:
        UsageError: no such step.
    """
    if name not in STEPS:
        raise UsageError.unknown("step", name, STEPS)
    run: Step = importlib.import_module(f"spark_jobs.{name}").run
    return run


def run_night(
    night: Night, steps: Sequence[str] = NIGHTLY, *, on_step: Callable[[str], None] | None = None
) -> dict[str, dict[str, object]]:
    """Runs the steps in order and returns each one's figures.

    Any step, or the whole night, may be run again after any crash: each replaces exactly its own tables. However it
    ends, its outcome stays in the run's folder (see attempts).

    Args:
        night: the run.
        steps: names, in order.
        on_step: told the name of each step as it begins (progress).
    """
    figures: dict[str, dict[str, object]] = {}
    with Recorder(night.work / night.run, steps, night.recipe.name) as attempt:
        for name in steps:
            run = step_named(name)
            attempt.begins(name)
            if on_step:
                on_step(name)
            figures[name] = run_step(night, name, run)
    return figures
