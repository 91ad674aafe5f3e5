"""A night's exploring and ranking in which a worker is killed in the middle of a task, once a step.

    python -m tests.contracts.killed_task ROOT

A process of its own, because its session lets a task fail once. ROOT holds a night that has its scores.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from pyspark import TaskContext

from spark_jobs import explore, filter_lures
from spark_jobs.bandits.contract import Bandit
from spark_jobs.bandits.registry import bandit
from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.session import spark_session
from tests.spark_jobs.explored_shop import night_at

if __name__ == "__main__":
    root = Path(sys.argv[1])

    def die_once(name: str, settings: ExploreSettings) -> Bandit:
        task = TaskContext.get()  # None in the driver
        if task is not None and name == "softmax":
            mark = root / f"killed in stage {task.stageId()}"
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return bandit(name, settings)

    night = night_at(spark_session("killed task", master="local[2,2]", memory="512m"), root)
    night.spark.conf.set("spark.sql.shuffle.partitions", "3")
    with pytest.MonkeyPatch.context() as patch:
        for step in (explore, filter_lures):
            patch.setattr(step, "bandit", die_once)
            step.run(night)
