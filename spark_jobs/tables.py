"""The tables: their columns, and the warehouse that keeps them as Parquet, one folder a run.

A run's table becomes visible by its manifest, a small JSON file written last: a reader sees the files the manifest
names, or no table. Writing again replaces exactly that (table, run), and a crash in the middle leaves what was there,
on local disks, HDFS and object stores alike (none of them needs an atomic rename of a folder).
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from segments.errors import ContractBroken, RankingError, Refused, UsageError
from spark_jobs.manifests import LocalFiles, Manifest, Manifests
from spark_jobs.session import spark_session
from spark_jobs.whole_files import WholeFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Columns as Spark DDL: "name TYPE [NOT NULL]". `extra` columns (features) are allowed only where a table says so.
SCHEMAS: dict[str, str] = {
    # What happened. An impression row may be a sample: sampling_rate is the probability with which it was kept.
    # request_at is the beginning of the visit (page view) the event belongs to: history ends strictly before it.
    "events": """event_id STRING NOT NULL, ts TIMESTAMP NOT NULL, user_id STRING NOT NULL, item_id STRING NOT NULL,
        item_kind STRING NOT NULL, kind STRING NOT NULL, surface STRING, request_id STRING, request_at TIMESTAMP,
        position INT, search_term STRING, value DOUBLE, dwell_ms BIGINT, sampling_rate DOUBLE NOT NULL,
        context MAP<STRING,STRING>""",
    "items": """item_id STRING NOT NULL, kind STRING NOT NULL, title STRING, text STRING, brand_id STRING,
        category ARRAY<STRING>, price DOUBLE, created_at TIMESTAMP, available BOOLEAN NOT NULL, store_id STRING,
        attributes MAP<STRING,STRING>, vector ARRAY<FLOAT>""",
    "users": "user_id STRING NOT NULL, attributes MAP<STRING,STRING>, registered_at TIMESTAMP",
    # Exact totals of impressions and clicks (before any sampling), usable from period_end on.
    "exposure_counts": """item_id STRING NOT NULL, item_kind STRING NOT NULL, period_start TIMESTAMP NOT NULL,
        period_end TIMESTAMP NOT NULL, impressions DOUBLE NOT NULL, clicks DOUBLE NOT NULL""",
    "refused": "table STRING NOT NULL, row STRING NOT NULL, reason STRING NOT NULL",
    "user_segments": """user_id STRING NOT NULL, family STRING NOT NULL, segment STRING NOT NULL,
        weight DOUBLE NOT NULL, valid_from TIMESTAMP NOT NULL""",
    # One row an impression, features as of the moment before it; feature columns follow.
    "examples": """request_id STRING NOT NULL, request_at TIMESTAMP NOT NULL, user_id STRING NOT NULL,
        item_id STRING NOT NULL, item_kind STRING NOT NULL, label DOUBLE NOT NULL, sampling_rate DOUBLE NOT NULL""",
    # One row a candidate item as of the run's clock; feature columns follow (the same names as in examples).
    "item_features": "item_id STRING NOT NULL, item_kind STRING NOT NULL, list STRING NOT NULL",
    "scores": "item_kind STRING NOT NULL, variant STRING NOT NULL, segment STRING NOT NULL, item_id STRING NOT NULL, "
    "pctr DOUBLE NOT NULL",
    # What exploration drew for each scored item: `mean` and `evidence` are the belief behind the draw, `seen` the
    # item's impressions in the whole shop.
    "draws": """item_kind STRING NOT NULL, variant STRING NOT NULL, segment STRING NOT NULL, item_id STRING NOT NULL,
        list STRING NOT NULL, score DOUBLE NOT NULL, mean DOUBLE NOT NULL, evidence DOUBLE NOT NULL,
        seen DOUBLE NOT NULL, draw DOUBLE NOT NULL""",
    "ranks": """item_kind STRING NOT NULL, variant STRING NOT NULL, segment STRING NOT NULL, item_id STRING NOT NULL,
        list STRING NOT NULL, score DOUBLE NOT NULL, draw DOUBLE NOT NULL, propensity DOUBLE NOT NULL,
        lure_probability DOUBLE NOT NULL, moves ARRAY<STRING> NOT NULL, final DOUBLE NOT NULL, rank INT NOT NULL""",
    # Vectors of the personal re-sort (half-precision numbers), of shelves whose recipe asks for them.
    "taste_vectors": "item_id STRING NOT NULL, item_kind STRING NOT NULL, packed BINARY NOT NULL",
    # What an hourly run found since the night: change is new, restocked, changed or sold_out.
    "changes": "item_id STRING NOT NULL, item_kind STRING NOT NULL, change STRING NOT NULL",
    # By everybody's clicks (segment `all`), and by those of segments that judge for themselves.
    "lures": """item_id STRING NOT NULL, item_kind STRING NOT NULL, segment STRING NOT NULL,
        probability DOUBLE NOT NULL, reason STRING NOT NULL""",
    # Whole lists as they were shown, for evaluation after the run's clock: visit → list → items, and what was clicked.
    "visits": """request_id STRING NOT NULL, request_at TIMESTAMP NOT NULL, user_id STRING NOT NULL,
        item_kind STRING NOT NULL, list_id STRING NOT NULL""",
    "list_items": "list_id STRING NOT NULL, item_id STRING NOT NULL",
    "visit_clicks": "request_id STRING NOT NULL, item_id STRING NOT NULL",
}
OPEN_ENDED = frozenset({"examples", "item_features"})


class Warehouse(Manifests):
    """Tables by (name, run) under one root path that Spark can write: local, HDFS or an object store."""

    files: WholeFiles

    def __init__(self, spark: SparkSession, root: str) -> None:
        super().__init__(WholeFiles(spark), root)
        self.spark = spark

    def write(
        self, frame: DataFrame, table: str, run: str, *, gate: Callable[[DataFrame], None] | None = None
    ) -> Manifest:
        """Replaces the table of that run. Columns are checked and put in contract order; nulls where forbidden refuse.

        Args:
            frame: the rows.
            table: the table's name.
            run: the run's id.
            gate: is given the rows as written, before anybody else sees them; if it raises, nothing has changed.

        Raises:
            ContractBroken: a column is missing or has another type, or a required value is null.
            Refused: another process has just written the same table of the same run.
        """
        frame = conform(frame, table)
        attempt = f"attempt-{uuid.uuid4().hex[:12]}"
        folder = f"{self._folder(table, run)}/{attempt}"
        # Nulls are counted while the rows pass by on their way to the files, not by reading them again.
        seen = Observation()
        required = [name for name in frame.columns if name in _required(table)]
        nulls = [F.count_if(F.col(name).isNull()).alias(name) for name in required]
        frame.observe(seen, F.count(F.lit(1)).alias("all rows"), *nulls).write.mode("error").parquet(folder)
        counted = seen.get
        if broken := {name: counted[name] for name in required if counted[name]}:
            self.files.remove(folder)
            columns = ", ".join(f"{name} ({count} rows)" for name, count in broken.items())
            raise ContractBroken(f"table {table}: null where a value is required: {columns}", where=f"run {run}")
        if not self.files.names(folder):
            raise Refused(
                f"table {table} is being written by another process",
                where=f"run {run}",
                hint="run one night of a run date at a time",
            )
        written = self.spark.read.schema(frame.schema).parquet(folder)
        if gate is not None:
            try:
                gate(written)
            except RankingError:
                self.files.remove(folder)
                raise
        manifest = Manifest(table, run, attempt, written.count(), frame.columns, frame.schema.jsonValue())
        self.files.put(f"{self._folder(table, run)}/manifest.json", json.dumps(asdict(manifest), indent=1))
        self._sweep(table, run, keep=attempt)
        return manifest

    def read(self, table: str, run: str) -> DataFrame:
        """The table of a run.

        Raises:
            Refused: the table has not been written for that run.
        """
        manifest = self._visible(table, run)
        # The schema is known: no file is opened to find it, and a table without rows needs no file at all.
        schema = StructType.fromJson(manifest.schema)
        return self.spark.read.schema(schema).parquet(f"{self._folder(table, run)}/{manifest.attempt}")

    def folder(self, table: str, run: str) -> str:
        """The folder that holds the visible Parquet files of a run's table: what pyarrow readers open."""
        return f"{self._folder(table, run)}/{self._visible(table, run).attempt}"

    def _visible(self, table: str, run: str) -> Manifest:
        manifest = self.manifest(table, run)
        if manifest is None:
            raise Refused(
                f"table {table} has not been written for run {run}",
                where=self.root,
                hint="run the earlier steps first: es-ranking nightly run --run-date D",
            )
        return manifest

    def _folder(self, table: str, run: str) -> str:
        if table not in SCHEMAS:
            raise UsageError.unknown("table", table, SCHEMAS)
        return super()._folder(table, run)

    def _sweep(self, table: str, run: str, *, keep: str) -> None:
        """Removes what earlier attempts left: no manifest names them any more."""
        folder = self._folder(table, run)
        for name in self.files.names(folder):
            if name.startswith("attempt-") and name != keep:
                self.files.remove(f"{folder}/{name}")


def manifests_at(root: str) -> Manifests:
    """The tables under a root; Spark is started only for one that is not a local path."""
    local = root.removeprefix("file://").removeprefix("file:")
    return Warehouse(spark_session("es-ranking"), root) if ":/" in local else Manifests(LocalFiles(), local)


def schema_of(table: str) -> StructType:
    """The Spark type of a table's contract columns."""
    if table not in SCHEMAS:
        raise UsageError.unknown("table", table, SCHEMAS)
    return cast("StructType", StructType.fromDDL(" ".join(SCHEMAS[table].split())))


def names_of(table: str) -> list[str]:
    """The names of a table's contract columns, without Spark."""
    if table not in SCHEMAS:
        raise UsageError.unknown("table", table, SCHEMAS)
    # Commas within MAP<…> part no columns.
    return [column.split()[0] for column in re.split(r",(?![^<]*>)", SCHEMAS[table])]


def _required(table: str) -> frozenset[str]:
    return frozenset(field.name for field in schema_of(table).fields if not field.nullable)


def conform(frame: DataFrame, table: str) -> DataFrame:
    """The frame with the contract's columns in order (extras after them where the table allows), types checked.

    Raises:
        ContractBroken: names each missing, mistyped or unexpected column.
    """
    schema = schema_of(table)
    wrong = list(_differences(frame, table, schema))
    if wrong:
        raise ContractBroken(f"table {table}: {'; '.join(wrong)}", hint="see docs/tables.md for the columns")
    extras = [name for name in frame.columns if name not in schema.fieldNames()]
    return frame.select(*schema.fieldNames(), *extras)


def _differences(frame: DataFrame, table: str, schema: StructType) -> Iterator[str]:
    have = {field.name: field.dataType for field in frame.schema.fields}
    for field in schema.fields:
        if field.name not in have:
            yield f"column {field.name} is missing"
        elif have[field.name].simpleString() != field.dataType.simpleString():
            yield f"column {field.name} is {have[field.name].simpleString()}, not {field.dataType.simpleString()}"
    if table not in OPEN_ENDED:
        for name in have:
            if name not in schema.fieldNames():
                yield f"column {name} is not in the contract"
