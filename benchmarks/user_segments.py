"""The step `fit_segments` on many users with planted tastes: seconds, peak memory, and whether the tastes are found.

    python benchmarks/user_segments.py --users 1000000 --brands 2000

The tables are generated first, which is not counted. Users take four fifths of their choices among the brands of their
taste, popular ones more often, and the others anywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from pyspark.sql import Column
from pyspark.sql import functions as F
from sklearn.metrics import adjusted_rand_score

from segments.users import read_users
from spark_jobs import fit_segments
from spark_jobs.night import Night, run_step
from spark_jobs.recipe import Recipe
from spark_jobs.session import spark_session
from spark_jobs.tables import schema_of

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--users", type=int, default=1_000_000)
    flags.add_argument("--brands", type=int, default=2_000)
    flags.add_argument("--tastes", type=int, default=8)
    flags.add_argument("--choices", type=int, default=15, help="events of each user")
    flags.add_argument("--own", type=float, default=0.8, help="share of the choices among the brands of one's taste")
    flags.add_argument("--spark-from", type=int, default=200_000, help="users from which Spark ML fits")
    given = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spark = spark_session("es-ranking benchmark")
        night = Night(spark, Recipe.of(_recipe(given)), AS_OF, f"{folder}/tables", Path(folder) / "work")
        _make(night, given)
        before, spent = os.getloadavg(), _cpu_seconds()
        figures = run_step(night, "fit_segments", fit_segments.run)
        users = read_users(night.folder("segments") / "users.jsonl")
        served = {n: users.resolve(f"u{n:08d}").get("brand") for n in range(given.users)}
        grouped = {n: segment for n, segment in served.items() if segment}
        print(json.dumps({
            **{key: getattr(given, key) for key in ("users", "brands", "tastes", "choices")},
            "cores": spark.sparkContext.defaultParallelism,
            "fitted_by": figures["fitted_by"],
            "seconds": figures["seconds"],
            "cpu_seconds": round(_cpu_seconds() - spent, 1),
            "peak_memory_mb": figures["peak_memory_mb"],
            "load_average_before_and_after": [round(before[0], 1), round(os.getloadavg()[0], 1)],
            "grouped": len(grouped),
            "adjusted_rand": round(adjusted_rand_score([n % given.tastes for n in grouped], list(grouped.values())), 4),
            "groups": figures["by_family"],
        }))  # fmt: skip
        spark.stop()


def _cpu_seconds() -> float:
    """Of this process, the JVM and Spark's workers: on a busy machine they tell more than the clock."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(time.user + time.system + time.children_user + time.children_system for time in times)


def _recipe(given: argparse.Namespace) -> dict[str, Any]:
    brand = {"kind": "brand", "groups": given.tastes, "topics": given.tastes + 4, "spark_from": given.spark_from}
    return {
        "name": "segments benchmark",
        "source": {"kind": "world"},
        "families": {
            "demographic": {"kind": "demographic", "attributes": ["gender"]},
            "brand": brand,
            "both": {"kind": "crossed", "cross": ["demographic", "brand"]},
        },
        "features": {"snapshot_days": 3650},
        "shelves": {"product": {"index": "p", "fields": {"fields": [{"name": "item"}]}, "model": {"kind": "logistic"}}},
        "variants": {"A": {"scorer": "sales"}},
        "default_variant": "A",
    }


def _make(night: Night, given: argparse.Namespace) -> None:
    """Tables of users, items (one a brand) and events; a draw is a hash, so that the same flags give the same world."""
    spark, each = night.spark, given.brands // given.tastes
    user = _named("u", F.col("user"))
    own = F.col("user") % given.tastes * each + F.floor(F.pow(_draw("own"), 2) * each)
    anywhere = F.floor(_draw("anywhere") * given.brands)
    brand = F.when(_draw("where") < given.own, own).otherwise(anywhere)
    chosen = spark.range(given.users).withColumnRenamed("id", "user")
    chosen = chosen.withColumn("at", F.explode(F.sequence(F.lit(1), F.lit(given.choices))))
    gender = F.when(_draw("gender") < 0.5, "female").otherwise("male")
    ts = F.lit(AS_OF - timedelta(days=30)) + F.make_interval(hours=(_draw("when") * 700).cast("int"))
    frames = {
        "events": chosen.select(
            (F.col("user") * given.choices + F.col("at")).alias("event_id"), ts.alias("ts"), user.alias("user_id"),
            _named("i", brand).alias("item_id"), F.lit("purchase").alias("kind"),
            F.lit("product").alias("item_kind"), F.lit(1.0).alias("sampling_rate"),
        ),
        "items": spark.range(given.brands).select(
            _named("i", F.col("id")).alias("item_id"), _named("brand ", F.col("id")).alias("brand_id"),
            F.lit("product").alias("kind"), F.lit(True).alias("available"),
        ),
        "users": spark.range(given.users).withColumnRenamed("id", "user").select(
            user.alias("user_id"), F.create_map(F.lit("gender"), gender).alias("attributes"),
        ),
    }  # fmt: skip
    for table, frame in frames.items():
        schema = schema_of(table)
        nothing = [F.lit(None).alias(name) for name in schema.fieldNames() if name not in frame.columns]
        columns = [F.col(field.name).cast(field.dataType) for field in schema.fields]
        night.warehouse.write(frame.select("*", *nothing).select(*columns), table, night.run)


def _named(what: str, number: Column) -> Column:
    return F.concat(F.lit(what), F.lpad(number.cast("string"), 8, "0"))


def _draw(trait: str) -> Column:
    """A uniform number of [0, 1) for each user, and choice where there is one."""
    at = F.lit(0) if trait == "gender" else F.col("at")
    return F.pmod(F.xxhash64("user", at, F.lit(trait)), F.lit(1 << 53)) / float(1 << 53)


if __name__ == "__main__":
    main()
