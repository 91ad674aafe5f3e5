"""Labels of what may follow a click: did the item get such an event in the request it was shown in?"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.history import clock


def act_labels(events: DataFrame, tasks: tuple[str, ...], *, as_of: datetime, long_dwell_seconds: float) -> DataFrame:
    """(request_id, item_id, label_<task> …): 1 where there was such an event before the clock, else null.

    Args:
        events: the table's columns kind, ts, dwell_ms, request_id, item_id.
        tasks: kinds of events; `dwell` counts where it lasted long enough.
        as_of: events at or after it are not known.
        long_dwell_seconds: of the task `dwell`.
    """
    long = F.col("dwell_ms") >= 1000.0 * long_dwell_seconds
    done = {task: (F.col("kind") == task) & (long if task == "dwell" else F.lit(True)) for task in tasks}
    return (
        events.where(F.col("kind").isin(*tasks) & (F.col("ts") < clock(as_of)))
        .groupBy("request_id", "item_id")
        .agg(*(F.max(F.when(done[task], 1.0)).alias(f"label_{task}") for task in tasks))
    )
