"""The one Spark session: UTC, this interpreter for the workers, quiet, local defaults only where no master is set."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

LOCAL_MASTER = "local[2]"


def spark_session(name: str, *, master: str | None = None, memory: str = "3g") -> SparkSession:
    """The running session, or a new one.

    A master given by spark-submit (or `SPARK_MASTER`) is honoured; otherwise Spark runs in this process.

    Args:
        name: shown in the Spark UI and in logs.
        master: overrides `SPARK_MASTER`; tests and the demo pass `local[n]`.
        memory: heap of the driver in local mode; ignored when a JVM already runs.
    """
    # Local Spark takes the first python3 on the PATH for its workers, not the interpreter that started it.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    under_submit = "PYSPARK_GATEWAY_PORT" in os.environ
    if not under_submit:
        # Quiet from the first line on, unless there is a Spark installation with a configuration of its own.
        if "SPARK_HOME" not in os.environ:
            os.environ.setdefault("SPARK_CONF_DIR", str(Path(__file__).with_name("spark_conf")))
        builder = (
            builder.master(master or os.environ.get("SPARK_MASTER", LOCAL_MASTER))
            .config("spark.driver.memory", memory)
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.shuffle.partitions", "8")
        )
    return (
        builder.config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        # BLAS and torch would otherwise start a thread per core in every worker of every core.
        .config("spark.executorEnv.OMP_NUM_THREADS", "1")
        .getOrCreate()
    )
