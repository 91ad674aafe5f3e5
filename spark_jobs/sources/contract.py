"""What a source promises: the same tables, whatever the data looked like where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

HISTORY = ("events", "items", "users", "exposure_counts", "refused")
LISTS = ("visits", "list_items", "visit_clicks")


class Source(Protocol):
    """One place data comes from. Every frame holds exactly the columns of its table (`docs/tables.md`).

    Nothing in a source reads the wall clock: the same settings and the same `until` give the same rows, whatever the
    number of partitions.
    """

    def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
        """What was known strictly before `until` (UTC): events, items, users, exposure_counts and refused.

        An event carries `request_at`, the beginning of the visit it belongs to; `available` of an item is as of
        `until`; exposure counts are exact totals before any sampling. Rows that cannot be used are in `refused`, with
        the reason, and nowhere else.

        Raises:
            ContractBroken: the data lacks a column, or more rows are unusable than the settings allow.
        """
        ...

    def lists(self, spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
        """Whole lists as they were shown in visits that began in [since, until): visits, list_items, visit_clicks.

        Only for judging a run after its clock; no step before the evaluation may read them.
        """
        ...

    def release(self) -> None:
        """Frees what the adapter had Spark keep for its frames; they are of no use afterwards."""
        ...
