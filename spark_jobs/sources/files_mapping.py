"""Reads one table's files and gives each contract column its value, by the mapping the user wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator
from pyspark.errors import AnalysisException
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StringType, StructField, StructType, TimestampType

from segments.config import Settings
from segments.errors import ContractBroken, UsageError
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType

CORRUPT = "_corrupt_record"


class ColumnMapping(Settings):
    """Where one contract column comes from: a column of the file, or a constant."""

    column: str | None = Setting(default=None, description="the file's column")
    constant: str | None = Setting(default=None, description="the same value in every row")
    format: str | None = Setting(default=None, description="of a time: Spark's pattern letters, epoch_s or epoch_ms")
    values: dict[str, str] = Setting(default={}, description="the file's words and ours: {view: impression}")
    separator: str | None = Setting(default=None, description="splits a string into a list: '>' of a category path")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.column is None) == (self.constant is None):
            raise ValueError("give exactly one of column and constant")
        return self


class FileTable(Settings):
    """One table's files and their columns."""

    path: str = Setting(description="file or folder, any path Spark knows")
    format: Literal["parquet", "csv", "json"] = Setting(default="parquet", description="json: one object a line")
    columns: dict[str, str | ColumnMapping] = Setting(description="contract column: the file's column, or a mapping")
    attributes: dict[str, str] = Setting(
        default={}, description="name: the file's column; attributes of items and users, context of events"
    )


@dataclass(frozen=True)
class Mapped:
    """A file's rows in contract columns, and what could not be read in them (reason → condition)."""

    frame: DataFrame
    unreadable: dict[str, Column]


def read_mapped(spark: SparkSession, table: str, given: FileTable, needed: tuple[str, ...]) -> Mapped:
    """Reads and maps; values that cannot be read become null and are named by a rule.

    Columns that are neither mapped nor needed are null.

    Raises:
        UsageError: the mapping names a column the table does not have, or lacks one that is needed.
        ContractBroken: there are no such files, or they lack a column the mapping names.
    """
    fields = {field.name: field.dataType for field in schema_of(table).fields}
    mappings = {
        name: ColumnMapping(column=value) if isinstance(value, str) else value for name, value in given.columns.items()
    }
    for name in mappings:
        if name not in fields:
            raise UsageError.unknown(f"column of {table}", name, fields, where="the column mapping")
    if unmapped := [name for name in needed if name not in mappings]:
        raise UsageError(
            f"the mapping of {table} lacks {', '.join(unmapped)}", hint=f"add it under {table}: columns: in the recipe"
        )
    rows = _read(spark, given)
    named = {mapping.column for mapping in mappings.values() if mapping.column} | set(given.attributes.values())
    if missing := sorted(named - set(rows.columns)):
        known = [name for name in rows.columns if name != CORRUPT]
        raise ContractBroken(
            f"the files of {table} have no column {', '.join(missing)}",
            where=given.path,
            hint=f"they have {', '.join(known)}",
        )
    # The file's columns get a prefix: theirs and the contract's may bear the same name.
    rows = rows.select(*(F.col(f"`{name}`").alias(f"file.{name}") for name in rows.columns))
    unreadable: dict[str, Column] = {}
    if f"file.{CORRUPT}" in rows.columns:
        unreadable["the row cannot be parsed"] = F.col(f"`file.{CORRUPT}`").isNotNull()
    values: dict[str, Column] = {}
    for name, kind in fields.items():
        mapping = mappings.get(name)
        if mapping is None:
            values[name] = F.lit(None).cast(kind)
            continue
        raw = F.lit(mapping.constant) if mapping.column is None else F.col(f"`file.{mapping.column}`")
        raw_type = StringType() if mapping.column is None else rows.schema[f"file.{mapping.column}"].dataType
        values[name] = _value(raw, raw_type, kind, mapping)
        if not isinstance(kind, StringType | ArrayType | MapType):
            reason = f"{name} cannot be read as {kind.simpleString()}"
            unreadable[reason] = _present(raw, raw_type) & F.col(name).isNull()
    if given.attributes:
        values["context" if table == "events" else "attributes"] = _attributes(given.attributes)
    return Mapped(rows.withColumns(values), unreadable)


def _read(spark: SparkSession, given: FileTable) -> DataFrame:
    try:
        if given.format == "parquet":
            return spark.read.parquet(given.path)
        if given.format == "json":
            return spark.read.json(given.path, primitivesAsString=True, columnNameOfCorruptRecord=CORRUPT)
        header = spark.read.csv(given.path, header=True).columns
        strings = StructType([StructField(name, StringType()) for name in [*header, CORRUPT]])
        return spark.read.csv(
            given.path, header=True, schema=strings, columnNameOfCorruptRecord=CORRUPT, enforceSchema=False
        )
    except AnalysisException as error:
        what = str(error.getCondition() or error).replace("_", " ").lower()
        raise ContractBroken(f"cannot read the files: {what}", where=given.path) from error


def _value(raw: Column, raw_type: DataType, kind: DataType, mapping: ColumnMapping) -> Column:
    if isinstance(raw_type, StringType):
        raw = F.nullif(F.trim(raw), F.lit(""))
    if mapping.values:
        pairs = [F.lit(word) for pair in mapping.values.items() for word in pair]
        raw = F.coalesce(F.create_map(*pairs)[raw.cast("string")], raw.cast("string"))
    if isinstance(kind, TimestampType) and mapping.format is not None:
        if mapping.format in {"epoch_s", "epoch_ms"}:
            number = raw.try_cast("double") * (1_000_000 if mapping.format == "epoch_s" else 1_000)
            return F.timestamp_micros(number.cast("bigint"))
        return F.try_to_timestamp(raw.cast("string"), F.lit(mapping.format))
    if isinstance(kind, ArrayType) and not isinstance(raw_type, ArrayType):
        raw = F.split(raw, F.lit(_literal(mapping.separator))) if mapping.separator else F.array(raw)
        raw = F.transform(raw, lambda part: F.trim(part))  # noqa: PLW0108 (F.trim alone would be given the index too)
    return raw.try_cast(kind)


def _present(raw: Column, raw_type: DataType) -> Column:
    return raw.isNotNull() & (F.trim(raw) != "") if isinstance(raw_type, StringType) else raw.isNotNull()


def _attributes(columns: dict[str, str]) -> Column:
    pairs = [
        part for name, column in columns.items() for part in (F.lit(name), F.col(f"`file.{column}`").cast("string"))
    ]
    return F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull() & (value != ""))


def _literal(separator: str) -> str:
    """A pattern that matches exactly the separator."""
    return "\\Q" + separator + "\\E"
