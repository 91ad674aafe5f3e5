"""The random numbers of exploration: a function of (ISO week, variant, segment, item) and of nothing else.

Neither partitions nor retries nor the order of rows can change a draw, and within a week an item keeps its number, so
that a quiet item's rank need not be written again every night.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from segments.errors import UsageError
from segments.hashing import U64, hash64, uniforms
from spark_jobs.bandits.contract import F64


def iso_week(as_of: datetime) -> str:
    """`2017-W48` of a UTC time.

    >>> iso_week(datetime(2017, 11, 27, tzinfo=UTC))
    '2017-W48'
    """
    if as_of.tzinfo is None:
        raise UsageError("the clock has no time zone", hint="as_of is a UTC timestamp")
    year, week, _ = as_of.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02d}"


def draw_uniforms(week: str, variant: str, segment: str, items: U64) -> F64:
    """(n,) the uniform number of each item; `items` are their `hash_strings`."""
    return uniforms(items, hash64("draw", week, variant, segment))


def replicate_generator(week: str, variant: str, segment: str) -> np.random.Generator:
    """The generator behind the Monte Carlo propensities of one (variant, segment) in one week.

    It hands out numbers in order: give it the arms in a fixed order (sorted by item id).
    """
    return np.random.Generator(np.random.SFC64(hash64("replicates", week, variant, segment)))
