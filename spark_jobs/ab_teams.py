"""What came of interleaved lists: to whose picks clicks, saves, carts, orders and sales fell, by user.

An event belongs to a view as in `ab_logs`, and there to the team that placed its item. What nobody's picks got (both
variants had them next) says nothing and is only counted.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F
from scipy import stats

from segments.errors import Refused, UsageError
from segments.teams import VERSUS, teams_of
from spark_jobs.ab_files import EVENTS, EXPOSURES, read_rows
from spark_jobs.ab_logs import VIEW, attributed, counted_exposures, distinct_events
from spark_jobs.evaluation.ab.preference import EVEN, Preference, hoped_share, preference
from spark_jobs.evaluation.ab.sequential import always_valid, always_valid_p
from spark_jobs.evaluation.ab.soundness import UNSOUND
from spark_jobs.models.run_folder import finite

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, Row

F64 = NDArray[np.float64]
CREDITS = ("clicks", "saves", "carts", "orders", "sales")


def interleaving_report(
    exposures: Path, events: Path, experiment: str, *, scale: float = 0.05, window_days: int = 7
) -> dict[str, Any]:
    """The preference between the two variants of every interleaved pair; keys stand in docs/ab-tests.md.

    Args:
        exposures, events, window_days: see `read_ab_logs`.
        experiment: its name.
        scale: relative effect hoped for, of the always-valid intervals; chosen before the test.

    Raises:
        UsageError, ContractBroken: see `read_ab_logs`.
        Refused: no interleaved list of this experiment.
    """
    from spark_jobs.session import spark_session

    if not scale > 0:
        raise UsageError(f"not a relative effect: {scale:g}", where="--effect", hint="0.05")
    spark = spark_session("es-ranking experiment")
    refused = {}
    shown, refused["exposures"] = read_rows(spark, exposures, EXPOSURES, ("ts", "request_id", "item_id", "variant"))
    happened, refused["events"] = read_rows(spark, events, EVENTS, ("ts", "user_id", "item_id", "kind"))
    drafted = _drafted(shown.where(F.col("experiment") == experiment)).persist()
    try:
        seen = {str(row["variant"]): row for row in _seen(drafted).collect()}
        if not seen:
            raise Refused(
                f"no interleaved list of experiment {experiment!r}", where=str(exposures),
                hint="es-ranking experiment ratios set INDEX NAME A+B=1",
            )  # fmt: skip
        credited = _credits(drafted, happened, window_days).toArrow()
    finally:
        drafted.unpersist()
    told = {
        pair: _judged(seen[pair], credited.filter(pc.equal(credited["variant"], pair)), pair, scale)
        for pair in sorted(seen)
    }
    first, last = min(row["first"] for row in seen.values()), max(row["last"] for row in seen.values())
    return {
        "experiment": experiment, "from": first.date().isoformat(), "to": last.date().isoformat(), "refused": refused,
        "pairs": told, "warnings": _warnings(told, refused),
    }  # fmt: skip


def _drafted(shown: DataFrame) -> DataFrame:
    """Exposures of interleaved lists, with `side`: 0 and 1 for the two teams, null for nobody's picks."""
    names = F.split("variant", rf"\{VERSUS}")
    side = F.when(F.col("team") == names[0], 0).when(F.col("team") == names[1], 1)
    return counted_exposures(shown.where(F.col("variant").contains(VERSUS))).withColumn("side", side)


def _seen(drafted: DataFrame) -> DataFrame:
    """By pair: from when to when, users, views, places by side, and how often a list begins with either's pick."""
    side, begins = F.col("side"), F.col("position") == 1
    return drafted.groupBy("variant").agg(
        F.min("ts").alias("first"), F.max("ts").alias("last"),
        F.count_distinct("user_id").alias("users"), F.count_distinct("request_id").alias("views"),
        *(F.count_if(side == number).alias(f"picks_{number}") for number in (0, 1)),
        F.count_if(side.isNull()).alias("nobody"),
        *(F.count_if(begins & (side == number)).alias(f"leads_{number}") for number in (0, 1)),
    )  # fmt: skip


def _credits(drafted: DataFrame, happened: DataFrame, window_days: int) -> DataFrame:
    """(variant, user_id, segment, side) → `CREDITS`."""
    views = drafted.groupBy(*VIEW).agg(F.min("ts").alias("at"))
    placed = drafted.select("request_id", "item_id", "side")
    found = attributed(distinct_events(happened), views, window_days).join(placed, ["request_id", "item_id"])
    kind, view = F.col("kind"), F.struct("request_id", "item_id")
    return found.groupBy("variant", "user_id", "segment", "side").agg(
        F.count_distinct(F.when(kind == "click", view)).alias("clicks"),
        F.sum((kind == "save").cast("double")).alias("saves"),
        F.sum((kind == "cart").cast("double")).alias("carts"),
        F.count_distinct(F.when(kind == "purchase", F.struct(view, "ts"))).alias("orders"),
        F.sum(F.when((kind == "purchase") & (F.col("value") > 0), F.col("value"))).alias("sales"),
    )


def _judged(seen: Row, table: pa.Table, pair: str, scale: float) -> dict[str, Any]:
    _, user = np.unique(np.asarray(table.column("user_id").to_pylist(), dtype=np.str_), return_inverse=True)
    segment = np.asarray(table.column("segment").to_pylist(), dtype=np.str_)
    side = table.column("side").cast("double").fill_null(-1.0).to_numpy()
    counts = {name: np.asarray(table.column(name).cast("double").fill_null(0.0).to_numpy()) for name in CREDITS}

    def judged(name: str, rows: NDArray[np.bool_]) -> dict[str, Any] | None:
        credit = counts[name] * rows
        return _told(preference(user, credit * (side == 0), credit * (side == 1)), scale)

    every = np.ones(segment.size, dtype=bool)
    # the first pick of a list is the coin's
    leads = seen["leads_0"] + seen["leads_1"]
    p = float(stats.binomtest(seen["leads_0"], leads).pvalue) if leads else math.nan
    return {
        "variants": list(teams_of(pair)),
        "users": seen["users"],
        "views": seen["views"],
        "picks": {name: seen[f"picks_{number}"] for number, name in enumerate(teams_of(pair))},
        "nobody": seen["nobody"],
        "coin": {"p": None if math.isnan(p) else p, "sound": not p < UNSOUND},
        "metrics": {name: judged(name, every) for name in CREDITS},
        "by_segment": {one: judged("clicks", segment == one) for one in sorted(set(segment))},
    }


def _told(found: Preference | None, scale: float) -> dict[str, Any] | None:
    if found is None:
        return None
    hoped, away = hoped_share(scale), found.share - EVEN
    always = always_valid(away, found.variance, scale=hoped)
    interval = found.interval()
    told = {
        "first": found.first, "second": found.second,
        "share": {"value": found.share, "low": interval.low, "high": interval.high}, "p": found.p,
        "always_valid": {"value": found.share, "low": EVEN + always.low, "high": EVEN + always.high},
        "always_valid_p": always_valid_p(away, found.variance, scale=hoped),
        "users": found.users, "prefer_first": found.prefer_first, "prefer_second": found.prefer_second,
    }  # fmt: skip
    return {name: finite(value) for name, value in told.items()}


def _warnings(told: dict[str, Any], refused: dict[str, int]) -> list[str]:
    said = [f"{rows} rows of the {name} cannot be used" for name, rows in refused.items() if rows]
    for pair, one in told.items():
        if not one["coin"]["sound"]:
            said.append(f"{pair}: lists do not begin evenly with either's pick (p = {one['coin']['p']:.1g}): "
                        "find out why before you read on")  # fmt: skip
        if one["metrics"]["clicks"] is None:
            said.append(f"{pair}: no click on anybody's picks: does the event log belong to these exposures?")
    return said
