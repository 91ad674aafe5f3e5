"""The user's own files (Parquet, CSV, JSON lines), read through a column mapping written in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Setting
from pyspark.sql import Window
from pyspark.sql import functions as F

from segments.config import Settings
from spark_jobs.sources.clock import moment
from spark_jobs.sources.files_mapping import FileTable, read_mapped
from spark_jobs.sources.refuse import Judged, contract_rules, judge
from spark_jobs.sources.requests import daily_exposures, shown_lists
from spark_jobs.tables import conform, schema_of

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame, SparkSession

_NEEDED = {"events": ("ts", "user_id", "item_id", "kind"), "items": ("item_id",), "users": ("user_id",)}
_DEFAULTS: dict[str, dict[str, object]] = {
    "events": {"item_kind": "product", "sampling_rate": 1.0},
    "items": {"kind": "product", "available": True},
    "users": {},
}


class FilesSettings(Settings):
    """The user's own data."""

    kind: Literal["files"] = "files"
    events: FileTable
    items: FileTable
    users: FileTable
    max_refused_share: float = Setting(default=0.01, ge=0, le=1, description="a table with more unusable rows refuses")


class Files:
    """The adapter. Spark keeps the judged rows until `release`.

    Events without an id get one from all their values; events without `request_at` get the time of the first event of
    their request, and without a request their own. A second row with the same id is refused.
    """

    def __init__(self, settings: FilesSettings) -> None:
        self.settings = settings
        self._kept: list[DataFrame] = []

    def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
        judged = {table: self._judged(spark, table) for table in _NEEDED}
        events = judged["events"].good.where(F.col("ts") < moment(until))
        refused = [judged[table].refused for table in _NEEDED]
        frames = {
            "events": events,
            "items": _known(judged["items"].good, "created_at", until),
            "users": _known(judged["users"].good, "registered_at", until),
            "exposure_counts": daily_exposures(events, until),
            "refused": refused[0].unionByName(refused[1]).unionByName(refused[2]),
        }
        return {name: conform(frame, name) for name, frame in frames.items()}

    def lists(self, spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
        events = self._judged(spark, "events").good.where(F.col("ts") < moment(until))
        return {name: conform(frame, name) for name, frame in shown_lists(events, since).items()}

    def release(self) -> None:
        while self._kept:
            self._kept.pop().unpersist()

    def _judged(self, spark: SparkSession, table: str) -> Judged:
        given: FileTable = getattr(self.settings, table)
        mapped = read_mapped(spark, table, given, _NEEDED[table])
        frame, rules = mapped.frame, mapped.unreadable
        for name, default in _DEFAULTS[table].items():
            if name not in given.columns:
                frame = frame.withColumn(name, F.lit(default))
        contract = schema_of(table).fieldNames()
        if table == "events":
            frame = _complete_events(frame, given)
        # Rules on the file's own columns first: "cannot be read" says more than "is missing".
        frame = judge(frame, table, {**rules, **contract_rules(table), **_seen_before(table)}).marked
        frame = frame.select(*contract, "_reason").persist()
        self._kept.append(frame)
        judged = Judged(table, frame)
        judged.check_share(self.settings.max_refused_share)
        return judged


def _complete_events(frame: DataFrame, given: FileTable) -> DataFrame:
    if "event_id" not in given.columns:
        of_file = [name for name in frame.columns if name.startswith("file.")]
        values = F.to_json(F.struct(*(F.col(f"`{name}`") for name in of_file)))
        frame = frame.withColumn("event_id", F.substring(F.sha2(values, 256), 1, 32))
    if "request_at" not in given.columns:
        request = Window.partitionBy(F.coalesce("request_id", "event_id"))
        frame = frame.withColumn("request_at", F.min("ts").over(request))
    return frame


def _seen_before(table: str) -> dict[str, Column]:
    key = {"events": "event_id", "items": "item_id", "users": "user_id"}[table]
    rows = Window.partitionBy(key).orderBy(F.to_json(F.struct(*schema_of(table).fieldNames())))
    return {f"{key} occurs a second time": F.row_number().over(rows) > 1}


def _known(frame: DataFrame, since: str, until: datetime) -> DataFrame:
    """Rows of things that existed before `until`; without a date they always did."""
    return frame.where(F.col(since).isNull() | (F.col(since) < moment(until)))
