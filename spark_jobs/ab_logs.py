"""Exposure log and event log of an A/B test, brought together by Spark into one row a user, epoch, variant and day.

An event belongs to the view it names (`request_id`); one that names none, to the user's last view before it, within the
window. A click counts where its item was shown in that view. A view is a page; one that begins at place 1 opens a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from segments.errors import Refused
from spark_jobs.ab_files import EVENTS, EXPOSURES, ITEMS, read_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
TOP = 20
"""Places that coverage, entropy and centrality ratio look at (DESIGN: the top 20)."""
VIEW = ("request_id", "user_id", "epoch", "variant", "segment")
CELL = ("user_id", "epoch", "variant", "segment", "day")
COUNTS = ("views", "lists", "shown", "seen", "items", "brands", "clicks", "clicked_views", "saves", "orders", "sales",
          "margin", "dwell_seconds")  # fmt: skip
SEEN = ("impression", "scroll", "click")
"""Events whose place the user must have seen."""
BEFORE = ("clicks_before", "sales_before")


@dataclass(frozen=True)
class AbLogs:
    """What a report is made of.

    Attributes:
        users, variants, segments, days: names, that the columns number.
        user, variant, segment, day, epoch: (rows,).
        counts: name of `COUNTS` and `BEFORE` → (rows,).
        shares: (epoch, variant) → ordered share.
        shown: variant → (items,) how often each item stood in the first places, at equal numbers of views.
        candidates: items that stood there in any variant.
        forced: views left out because their variant was chosen by hand.
        refused: rows of the logs that cannot be used.
    """

    users: list[str]
    variants: list[str]
    segments: list[str]
    days: list[str]
    user: I64
    variant: I64
    segment: I64
    day: I64
    epoch: I64
    counts: dict[str, F64]
    shares: dict[tuple[int, str], float]
    shown: dict[str, F64]
    candidates: int
    forced: int
    refused: dict[str, int]


def read_ab_logs(
    spark: SparkSession, exposures: Path, events: Path, experiment: str, *, items: Path | None = None,
    before_days: int = 14, window_days: int = 7,
) -> AbLogs:  # fmt: skip
    """Reads the logs of one experiment.

    Args:
        exposures, events: a file or folder, JSON lines or Parquet, as `serve` writes them.
        experiment: its name.
        items: item_id with brand_id, for the diversity of brands, and margin, the share of the price that is kept.
        before_days: clicks and sales of so many days before the first exposure are the covariates.
        window_days: how long after a view an event that names none belongs to it.

    Raises:
        UsageError: a path without files.
        ContractBroken: no row can be used.
        Refused: no exposure of this experiment.
    """
    refused = {}
    all_shown, refused["exposures"] = read_rows(spark, exposures, EXPOSURES, ("ts", "request_id", "item_id", "variant"))
    happened, refused["events"] = read_rows(spark, events, EVENTS, ("ts", "user_id", "item_id", "kind"))
    ours = all_shown.where(F.col("experiment") == experiment).persist()
    # Read five times below.
    unique = distinct_events(happened).persist()
    try:
        forced = ours.where("forced").select("request_id").distinct().count()
        shown = counted_exposures(ours)
        begun = shown.agg(F.min("ts").alias("at")).collect()[0]["at"]
        if begun is None:
            names = sorted(
                str(row[0]) for row in all_shown.select("experiment").distinct().limit(20).collect() if row[0]
            )
            raise Refused(
                f"no exposure of experiment {experiment!r}", where=str(exposures), hint=f"there are: {names or 'none'}"
            )
        views = shown.groupBy(*VIEW).agg(
            F.min("ts").alias("at"), F.count("*").alias("places"), F.min("position").alias("first")
        )
        told_of = attributed(unique, views, window_days)
        cells = _cells(shown, _seen(views, happened), told_of, _items(spark, items))
        earlier = unique.where((F.col("ts") < F.lit(begun)) & (F.col("ts") >= F.lit(begun - timedelta(before_days))))
        covariates = earlier.groupBy("user_id").agg(
            F.sum((F.col("kind") == "click").cast("double")).alias("clicks_before"),
            F.sum(F.when(F.col("kind") == "purchase", F.col("value"))).alias("sales_before"),
        )
        told = cells.join(covariates, "user_id", "left").toArrow()
        shares = shown.groupBy("epoch", "variant").agg(F.max("share").alias("share")).collect()
        counted = _shown(shown, views)
    finally:
        ours.unpersist()
        unique.unpersist()
    user_names, user_numbers = _numbered(told, "user_id")
    variants, variant = _numbered(told, "variant")
    segments, segment = _numbered(told, "segment")
    days, day = _numbered(told, "day")
    return AbLogs(
        users=user_names, variants=variants, segments=segments, days=days, user=user_numbers, variant=variant,
        segment=segment, day=day, epoch=told.column("epoch").to_numpy().astype(np.int64),
        counts={name: _filled(told, name) for name in (*COUNTS, *BEFORE)},
        shares={(row["epoch"], row["variant"]): float(row["share"] or 0.0) for row in shares},
        shown=counted, candidates=max((each.size for each in counted.values()), default=0), forced=forced,
        refused=refused,
    )  # fmt: skip


def counted_exposures(shown: DataFrame) -> DataFrame:
    """Exposures that count, each once: testers' are left out, and nobody in particular is a user of one request."""
    user = F.coalesce("user_id", F.concat(F.lit("request "), "request_id"))
    return (
        shown.where("not coalesce(forced, false)")
        .withColumns({"user_id": user, "segment": F.coalesce("segment", F.lit(""))})
        .withColumn("epoch", F.coalesce("epoch", F.lit(1)))
        .dropDuplicates(["request_id", "item_id"])
    )


def distinct_events(happened: DataFrame) -> DataFrame:
    """What users did, each event once."""
    named = F.coalesce("event_id", F.concat_ws("|", "user_id", "item_id", "kind", "ts"))
    return happened.where(F.col("kind") != "impression").withColumn("event_id", named).dropDuplicates(["event_id"])


def attributed(events: DataFrame, views: DataFrame, window_days: int) -> DataFrame:
    """Events of `kind`, item, ts, value and dwell with the view they belong to."""
    what = ("kind", "item_id", "ts", "value", "dwell_ms")
    named = events.alias("e").join(views.alias("v"), F.col("e.request_id") == F.col("v.request_id"))
    direct = named.select(*(f"e.{name}" for name in what), *(f"v.{name}" for name in VIEW), "v.at")
    others = events.where(F.col("request_id").isNull())
    view = F.struct(*VIEW, "at").alias("view")
    row = F.struct(*what).alias("event")
    together = views.select("user_id", F.col("at").alias("moment"), F.lit(0).alias("turn"), view).unionByName(
        others.select("user_id", F.col("ts").alias("moment"), F.lit(1).alias("turn"), row), allowMissingColumns=True
    )
    so_far = Window.partitionBy("user_id").orderBy("moment", "turn").rowsBetween(Window.unboundedPreceding, 0)
    last = together.withColumn("view", F.last("view", ignorenulls=True).over(so_far)).where("turn = 1")
    near = last.where(F.col("view.at") >= F.col("moment") - F.expr(f"interval {int(window_days)} days"))
    return direct.unionByName(near.select("event.*", "view.*"))


def _seen(views: DataFrame, happened: DataFrame) -> DataFrame:
    """Views with `seen`: places from the first to the deepest that an event of the view tells of."""
    told = happened.where(F.col("kind").isin(*SEEN) & F.col("request_id").isNotNull())
    deepest = told.groupBy("request_id").agg(F.max("position").alias("deepest"))
    # `least` passes over nulls: who tells of no place has seen none.
    deep = F.coalesce(F.col("deepest") - F.col("first") + 1, F.lit(0))
    return views.join(deepest, "request_id", "left").withColumn("seen", F.greatest(F.least(deep, "places"), F.lit(0)))


def _cells(shown: DataFrame, views: DataFrame, events: DataFrame, items: DataFrame) -> DataFrame:
    day = F.date_format("at", "yyyy-MM-dd").alias("day")
    placed = shown.join(views.select("request_id", day), "request_id").join(items, "item_id", "left")
    looked = views.groupBy(*(name for name in CELL if name != "day"), day).agg(
        F.sum("seen").alias("seen"), F.sum((F.col("first") == 1).cast("double")).alias("lists")
    )
    cells = placed.groupBy(*CELL).agg(
        F.count_distinct("request_id").alias("views"), F.count("*").alias("shown"),
        F.count_distinct("item_id").alias("items"), F.count_distinct("brand_id").alias("brands"),
    )  # fmt: skip
    clicked = events.where(F.col("kind") == "click").join(
        shown.select("request_id", "item_id"), ["request_id", "item_id"], "left_semi"
    )
    clicks = clicked.select(*VIEW, day, "item_id").distinct().groupBy(*CELL).agg(
        F.count("*").alias("clicks"), F.count_distinct("request_id").alias("clicked_views")
    )  # fmt: skip
    kind = F.col("kind")
    rest = (
        events.join(items, "item_id", "left")
        .groupBy(*(name for name in CELL if name != "day"), day)
        .agg(
            F.sum((kind == "save").cast("double")).alias("saves"),
            F.count_distinct(F.when(kind == "purchase", F.col("ts"))).alias("orders"),
            F.sum(F.when(kind == "purchase", F.col("value"))).alias("sales"),
            F.sum(F.when(kind == "purchase", F.col("value") * F.col("margin"))).alias("margin"),
            F.sum(F.when(kind == "dwell", F.col("dwell_ms") / 1000)).alias("dwell_seconds"),
        )
    )
    for more in (looked, clicks, rest):
        cells = cells.join(more, list(CELL), "left")
    return cells


def _items(spark: SparkSession, items: Path | None) -> DataFrame:
    if items is None:
        return spark.createDataFrame([], T.StructType([T.StructField(name, kind) for name, kind in ITEMS.items()]))
    return read_rows(spark, items, ITEMS, ("item_id",))[0].dropDuplicates(["item_id"])


def _shown(shown: DataFrame, views: DataFrame) -> dict[str, F64]:
    """How often each item stood in the first places; of a variant with more views a part, drawn by request."""
    many = {row["variant"]: int(row["n"]) for row in views.groupBy("variant").agg(F.count("*").alias("n")).collect()}
    fewest = min(many.values())
    keep = F.lit(1.0)
    for variant, views_of in many.items():
        keep = F.when(F.col("variant") == variant, F.lit(fewest / views_of)).otherwise(keep)
    drawn = F.pmod(F.xxhash64("request_id"), F.lit(1 << 20)) < keep * (1 << 20)
    top = shown.where(drawn & (F.coalesce("position", F.lit(1)) <= TOP))
    told = top.groupBy("item_id").pivot("variant", sorted(many)).agg(F.count(F.lit(1))).toArrow()
    return {variant: _filled(told, variant) for variant in sorted(many)}


def _numbered(told: pa.Table, name: str) -> tuple[list[str], I64]:
    names, numbers = np.unique(np.asarray(told.column(name).to_pylist(), dtype=np.str_), return_inverse=True)
    return [str(one) for one in names], numbers.astype(np.int64)


def _filled(told: pa.Table, name: str) -> F64:
    values: Any = told.column(name).cast("double").fill_null(0.0).to_numpy()
    return np.asarray(values, dtype=np.float64)
