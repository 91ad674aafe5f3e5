"""Bad rows are set aside with a reason and counted, never silently dropped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segments.errors import ContractBroken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

EVENT_KINDS = (
    *("impression", "click", "save", "like", "follow"),
    *("cart", "purchase", "hide", "dwell", "scroll"),
)
ITEM_KINDS = ("product", "banner")
_REASON = "_reason"


@dataclass(frozen=True)
class Judged:
    """Rows of a table, those that can be used and those that cannot."""

    table: str
    marked: DataFrame

    @property
    def good(self) -> DataFrame:
        return self.marked.where(F.col(_REASON).isNull()).drop(_REASON)

    @property
    def refused(self) -> DataFrame:
        """In the columns of the table `refused`: the row as JSON, and the first rule it breaks."""
        columns = [name for name in self.marked.columns if name != _REASON]
        bad = self.marked.where(F.col(_REASON).isNotNull())
        return bad.select(
            F.lit(self.table).alias("table"), F.to_json(F.struct(*columns)).alias("row"), F.col(_REASON).alias("reason")
        )

    def check_share(self, most: float) -> None:
        """Refuses a table of which too much is unusable (reads the rows once).

        Raises:
            ContractBroken: more than the share `most`; names the most frequent reasons.
        """
        counts = {row[_REASON]: row["count"] for row in self.marked.groupBy(_REASON).count().collect()}
        total, bad = sum(counts.values()), sum(count for reason, count in counts.items() if reason is not None)
        if bad > most * total:
            worst = sorted(((n, reason) for reason, n in counts.items() if reason is not None), reverse=True)[:3]
            raise ContractBroken(
                f"{bad} of {total} rows cannot be used: {'; '.join(f'{reason} ({n} rows)' for n, reason in worst)}",
                where=f"table {self.table}",
                hint=f"mend the data or the mapping, or raise max_refused_share (now {most})",
            )


def judge(frame: DataFrame, table: str, rules: Mapping[str, Column]) -> Judged:
    """Marks each row with the first rule it breaks.

    Args:
        frame: the rows.
        table: the contract's table they are meant for.
        rules: reason → a condition that is true for rows that cannot be used (null counts as usable).
    """
    first = F.coalesce(*(F.when(broken, F.lit(reason)) for reason, broken in rules.items()), F.lit(None).cast("string"))
    return Judged(table, frame.withColumn(_REASON, first))


def contract_rules(table: str) -> dict[str, Column]:
    """What every row of events, items and users must hold, whatever its source."""
    if table == "events":
        return {
            **_missing("event_id", "user_id", "item_id"),
            "ts is missing": F.col("ts").isNull(),
            "kind is not known": ~_one_of("kind", EVENT_KINDS),
            "item_kind is not known": ~_one_of("item_kind", ITEM_KINDS),
            "request_at is after ts": F.col("request_at") > F.col("ts"),
            **_negative("position", "value", "dwell_ms"),
            "sampling_rate is not in (0, 1]": ~F.coalesce(F.col("sampling_rate").between(1e-12, 1.0), F.lit(False)),
        }
    if table == "items":
        return {
            **_missing("item_id"),
            "kind is not known": ~_one_of("kind", ITEM_KINDS),
            **_negative("price"),
            "available is missing": F.col("available").isNull(),
        }
    return _missing("user_id")


def _missing(*columns: str) -> dict[str, Column]:
    return {f"{name} is missing": F.col(name).isNull() | (F.col(name) == "") for name in columns}


def _negative(*columns: str) -> dict[str, Column]:
    return {f"{name} is negative or not a number": (F.col(name) < 0) | _nan(name) for name in columns}


def _nan(name: str) -> Column:
    return F.isnan(F.col(name).cast("double"))


def _one_of(name: str, known: tuple[str, ...]) -> Column:
    return reduce(lambda a, b: a | b, (F.col(name).eqNullSafe(value) for value in known))
