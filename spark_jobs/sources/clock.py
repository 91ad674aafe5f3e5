"""Moments as Spark literals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column


def moment(value: datetime) -> Column:
    """A UTC time as a Spark timestamp (a naive literal would be read in the driver's own time zone)."""
    return F.lit(value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")).cast("timestamp")
