"""The user's own files (Parquet, CSV, JSON lines), read through a column mapping written in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from segments.config import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession


class ColumnMapping(Settings):
    """Where one contract column comes from: a column of the file, or a constant."""

    column: str | None = Setting(default=None, description="the file's column")
    constant: str | None = Setting(default=None, description="the same value in every row")
    format: str | None = Setting(
        default=None, description="of a timestamp, Spark's pattern letters; or epoch_s, epoch_ms"
    )
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
    format: Literal["parquet", "csv", "json"] = "parquet"
    columns: dict[str, str | ColumnMapping] = Setting(description="contract column: the file's column, or a mapping")
    attributes: dict[str, str] = Setting(default={}, description="attribute name: the file's column")


class FilesSettings(Settings):
    """The user's own data."""

    kind: Literal["files"] = "files"
    events: FileTable
    items: FileTable
    users: FileTable
    max_refused_share: float = Setting(
        default=0.01, ge=0, le=1, description="unusable rows of a table above this refuse"
    )


class Files:
    def __init__(self, settings: FilesSettings) -> None:
        self.settings = settings

    def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
        raise RuntimeError("under construction")

    def lists(self, spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
        raise RuntimeError("under construction")

    def release(self) -> None:
        """Nothing is kept."""
