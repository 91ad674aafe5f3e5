"""The files of an A/B test: exposures, events and items, as JSON lines or Parquet, with the rows that cannot be used
counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from segments.errors import ContractBroken, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BROKEN = "_broken"
_TEXT, _NUMBER, _TIME = T.StringType(), T.DoubleType(), T.TimestampType()
EXPOSURES: dict[str, T.DataType] = {
    "ts": _TIME, "request_id": _TEXT, "user_id": _TEXT, "item_id": _TEXT, "position": T.IntegerType(),
    "variant": _TEXT, "segment": _TEXT, "forced": T.BooleanType(), "experiment": _TEXT, "epoch": T.IntegerType(),
    "share": _NUMBER, "team": _TEXT,
}  # fmt: skip
EVENTS: dict[str, T.DataType] = {
    "event_id": _TEXT, "ts": _TIME, "user_id": _TEXT, "item_id": _TEXT, "kind": _TEXT, "request_id": _TEXT,
    "value": _NUMBER, "dwell_ms": _NUMBER, "position": T.IntegerType(),
}  # fmt: skip
ITEMS: dict[str, T.DataType] = {"item_id": _TEXT, "brand_id": _TEXT, "margin": _NUMBER}


def read_rows(
    spark: SparkSession, path: Path, columns: dict[str, T.DataType], required: Sequence[str]
) -> tuple[DataFrame, int]:
    """The rows of a file or folder that can be used, with just these columns, and how many cannot.

    Raises:
        UsageError: no files, or files of both kinds.
        ContractBroken: no row can be used.
    """
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    # hidden files are half written ones
    files = [each for each in files if each.is_file() and not each.name.startswith((".", "_"))]
    if not files:
        raise UsageError("no such file, or nothing in the folder", where=str(path))
    kinds = {each.suffix == ".parquet" for each in files}
    if len(kinds) > 1:
        raise UsageError("Parquet and JSON lines in one folder", where=str(path))
    names = [str(each) for each in files]
    if kinds == {True}:
        frame = spark.read.parquet(*names)
        there = {name: F.col(name).cast(kind) for name, kind in columns.items() if name in frame.columns}
        frame = frame.select(
            *(there.get(name, F.lit(None).cast(kind)).alias(name) for name, kind in columns.items()),
            F.lit(None).cast("string").alias(BROKEN),
        )
    else:
        schema = T.StructType([T.StructField(name, kind) for name, kind in columns.items()])
        frame = spark.read.schema(schema.add(BROKEN, _TEXT)).json(names, columnNameOfCorruptRecord=BROKEN)
    bad = F.col(BROKEN).isNotNull()
    for name in required:
        bad = bad | F.col(name).isNull()
    # Spark refuses to count corrupt records of a file alone: with a column of the row itself it reads the row
    counted = frame.select(bad.alias("bad"), required[0]).groupBy("bad").agg(F.count("*").alias("n")).collect()
    found = {bool(row["bad"]): int(row["n"]) for row in counted}
    if found.get(True) and not found.get(False):
        raise ContractBroken(
            f"none of the {found[True]} rows can be used", where=str(path), hint=f"each needs {', '.join(required)}"
        )
    return frame.where(~bad).drop(BROKEN), found.get(True, 0)
