"""The Complete Journey: a real retailer's year, 2017, as one of the sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Setting

from segments.config import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession


class CompleteJourneySettings(Settings):
    """How the real retailer's year is read."""

    kind: Literal["complete-journey"] = "complete-journey"
    impressions_per_visit: int = Setting(
        default=40, ge=1, description="expected impressions without a click kept of one visit; clicks are all kept"
    )
    seed: int = Setting(default=0, ge=0, description="of the sampling of impressions")
    available_weeks: int = Setting(
        default=8, ge=1, description="a product not sold or promoted for so many weeks is no longer available"
    )


class CompleteJourney:
    def __init__(self, settings: CompleteJourneySettings) -> None:
        self.settings = settings

    def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
        raise RuntimeError("under construction")

    def lists(self, spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
        raise RuntimeError("under construction")
