"""Trials as Spark tasks, one task each: a sweep then takes whatever cluster the session has.

Every trial is a job of one task, so that it is told when it ends, and the scheduler keeps those waiting that find no
core. Run folders and the run's tables must lie where driver and workers see them under the same path. A driver that was
killed loses nothing that is finished: the same command finds it in the folders.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from segments.errors import RankingError
from spark_jobs.crew import Attempt, Hands, Report, attempt_alone
from spark_jobs.session import spark_session

if TYPE_CHECKING:
    from spark_jobs.arena import Arena
    from spark_jobs.experiment_settings import Trial


def tasks(jobs: int | None = None) -> Hands:
    """So many trials at a time (as many as the session has cores, if not given); the arena is broadcast once."""

    def hire(arena: Arena) -> tuple[Executor, Attempt]:
        context = spark_session("es-ranking models sweep").sparkContext
        given = context.broadcast(arena)

        def attempt(trial: Trial, folder: Path) -> Report:
            said = context.parallelize([(trial, folder.absolute())], 1)
            try:
                found = said.map(lambda told: in_task(given, *told)).collect()[0]
            except (PySparkException, Py4JJavaError) as error:
                # An error that nobody raised on purpose, or a worker that was killed.
                lines = [line.strip() for line in str(error).splitlines() if "Error" in line or "Exception" in line]
                cause = lines[-1] if lines else type(error).__name__
                hint = "out of memory? fewer --jobs; run again: what is finished is kept"
                raise RankingError(f"a task of the trials failed: {cause}", where=str(folder), hint=hint) from error
            if isinstance(found, RankingError):
                raise found
            return found

        return ThreadPoolExecutor(jobs or context.defaultParallelism), attempt

    return hire


def in_task(arena: Any, trial: Trial, folder: Path) -> Report | RankingError:
    """What a task does with the broadcast arena. What trying again cannot mend is returned, not raised."""
    try:
        return attempt_alone(arena.value, trial, folder)
    except RankingError as error:
        return error
