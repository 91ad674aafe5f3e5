"""A generated world whose truth is known: any size, the same for the same seed, whatever the partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_jobs.sources.world_settings import WorldSettings

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

__all__ = ["World", "WorldSettings"]


class World:
    def __init__(self, settings: WorldSettings) -> None:
        self.settings = settings

    def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
        raise RuntimeError("under construction")

    def lists(self, spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
        raise RuntimeError("under construction")

    def release(self) -> None:
        """Nothing is kept."""
