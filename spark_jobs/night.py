"""A night: what every step is given. The clock is `as_of` and nothing else."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from segments.errors import UsageError
from spark_jobs.tables import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_jobs.recipe import Recipe


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
        """Keeps a step's figures as JSON, written beside and renamed."""
        path = self.folder("steps") / f"{step}.json"
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps(figures, indent=1, default=str), encoding="utf-8")
        fresh.replace(path)
        return path


def run_id(as_of: datetime) -> str:
    """`20171127T000000` of a UTC time."""
    return as_of.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


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
