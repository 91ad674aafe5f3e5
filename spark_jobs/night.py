"""A night: what every step is given. The clock is `as_of` and nothing else."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from segments.errors import RankingError, UsageError
from segments.whole import write_whole
from spark_jobs.attempts import Recorder
from spark_jobs.peak_memory import PeakMemory
from spark_jobs.recipe import Recipe, load_recipe
from spark_jobs.session import spark_session
from spark_jobs.tables import Warehouse

_RUN = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Night:
    """One run of the main job.

    Attributes:
        spark: the session.
        recipe: all settings.
        as_of: the only clock, UTC: steps see what happened strictly before it.
        root: warehouse root, any path Spark knows.
        work: local folder for what the driver keeps: checkpoints, reports, curves.
    """

    spark: SparkSession
    recipe: Recipe
    as_of: datetime
    root: str
    work: Path

    @property
    def run(self) -> str:
        """The run's id, from the clock alone: the same night has the same id."""
        return run_id(self.as_of)

    @property
    def clock(self) -> int:
        """`as_of` as microseconds since 1970."""
        return microseconds(self.as_of)

    @property
    def valid_from(self) -> int:
        """Microseconds since 1970 where the days begin that choose a model."""
        return microseconds(self.as_of - timedelta(days=self.recipe.validation_days))

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.spark, self.root)

    @property
    def log(self) -> logging.Logger:
        return logging.getLogger("es_ranking.night")

    def folder(self, name: str) -> Path:
        """The run's own local folder of that name, made if missing."""
        folder = self.work / self.run / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write_report(self, step: str, figures: dict[str, object]) -> Path:
        """Keeps a step's figures as JSON."""
        path = self.folder("steps") / f"{step}.json"
        write_whole(path, json.dumps(figures, indent=1, default=str))
        return path


def run_id(as_of: datetime) -> str:
    """`20171127T000000` of a UTC time."""
    return as_of.astimezone(UTC).strftime(_RUN)


def time_of(run: str) -> datetime:
    """The UTC time that a run's id was made from."""
    return datetime.strptime(run, _RUN).replace(tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """A time as tables of examples hold it: microseconds since 1970."""
    return round(moment.timestamp() * 1_000_000)


def parse_clock(run_date: str | None, as_of: str | None) -> datetime:
    """The clock from `--run-date D` (its midnight) or `--as-of T`, in UTC.

    Raises:
        UsageError: neither, both, or not a date.
    """
    if (run_date is None) == (as_of is None):
        raise UsageError("give exactly one of --run-date and --as-of", hint="--run-date 2017-11-27")
    text = run_date or as_of or ""
    try:
        clock = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"not a date or time: {text!r}", hint="2017-11-27 or 2017-11-27T04:00:00+00:00") from error
    return clock.replace(tzinfo=UTC) if clock.tzinfo is None else clock.astimezone(UTC)


Step = Callable[[Night], dict[str, object]]


def submit(step: str, run: Step) -> None:
    """`main()` of a step under spark-submit: reads the flags, makes the night, runs the step, prints its figures."""
    flags = argparse.ArgumentParser(prog=step, description=run.__doc__)
    flags.add_argument("--recipe", required=True, help="a shipped recipe's name, or a YAML file")
    flags.add_argument("--run-date", help="the night's date: its UTC midnight is the clock")
    flags.add_argument("--as-of", help="the clock as a UTC time")
    flags.add_argument("--warehouse", required=True, help="root of the tables, any path Spark knows")
    flags.add_argument("--work", default="runs", help="local folder for checkpoints and reports")
    given = flags.parse_args()
    try:
        clock = parse_clock(given.run_date, given.as_of)
        spark = spark_session(f"es-ranking {step}")
        night = Night(spark, load_recipe(given.recipe), clock, given.warehouse, Path(given.work))
        with Recorder(night.work / night.run, [step], night.recipe.name) as attempt:
            attempt.begins(step)
            figures = run_step(night, step, run)
        print(json.dumps(figures, default=str))  # noqa: T201 (a step's figures are its stdout)
    except RankingError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def run_step(night: Night, step: str, run: Step) -> dict[str, object]:
    """Runs one step; its figures, seconds and peak memory are kept as the step's report."""
    with PeakMemory() as memory:
        started = time.perf_counter()
        figures = run(night)
        seconds = time.perf_counter() - started
    figures = {**figures, "seconds": round(seconds, 2), "peak_memory_mb": memory.peak_mb}
    night.write_report(step, figures)
    return figures
