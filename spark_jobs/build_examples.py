"""Step 3: one row an impression with what was known before its visit, and one row a candidate item as of the clock."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segments.errors import Refused
from spark_jobs.features.columns import context_columns, history_fields, item_columns, level_column, vector_fields
from spark_jobs.features.history import known_counts, moment_of, rates_before
from spark_jobs.features.text_vectors import text_vectors
from spark_jobs.history import clock

if TYPE_CHECKING:
    from pyspark.sql import Column

    from spark_jobs.night import Night

BASE = ("request_id", "request_at", "user_id", "item_id", "item_kind", "label", "sampling_rate")


def run(night: Night) -> dict[str, object]:
    """Writes `examples` and `item_features` of every shelf.

    Raises:
        UsageError: the recipe's fields name a feature nothing can make; the known ones are listed.
        Refused: a shelf has no candidate items.
    """
    kinds = sorted(night.recipe.shelves)
    examples = reduce(_under, (_examples(night, kind) for kind in kinds))
    features = reduce(_under, (_candidates(night, kind) for kind in kinds))
    tables = night.warehouse
    candidates = tables.write(features, "item_features", night.run)
    by_kind = {row["item_kind"]: row["count"] for row in
               tables.read("item_features", night.run).groupBy("item_kind").count().collect()}  # fmt: skip
    for kind in kinds:
        if not by_kind.get(kind):
            raise Refused(f"no {kind} is available at the clock", where=f"run {night.run}", hint="look at table items")
    written = tables.write(examples, "examples", night.run)
    rows = (
        tables.read("examples", night.run).groupBy("item_kind").agg(F.count("*").alias("n"), F.sum("label").alias("k"))
    )
    told = {row["item_kind"]: {"examples": row["n"], "clicks": int(row["k"])} for row in rows.collect()}
    return {"rows_out": written.rows, "candidates": candidates.rows, "items": by_kind, "examples": told}


def _examples(night: Night, kind: str) -> DataFrame:
    schema, settings = night.recipe.shelves[kind].fields, night.recipe.features
    events = night.warehouse.read("events", night.run).where(F.col("item_kind") == kind)
    shown = events.where((F.col("kind") == "impression") & (F.col("request_at") < clock(night.as_of)))
    if settings.warmup_days:
        first = events.agg(F.min("ts").cast("string").alias("first")).first()
        begin = F.lit(first["first"] if first else None).cast("timestamp") + F.expr(
            f"INTERVAL {settings.warmup_days} DAY"
        )
        shown = shown.where(F.col("request_at") >= begin)
    clicked = events.where(F.col("kind") == "click").select("request_id", "item_id").distinct()
    # Hash joins: sorting impressions by their long, much alike request ids costs minutes.
    labelled = shown.join(
        clicked.withColumn("label", F.lit(1.0)).hint("shuffle_hash"), ["request_id", "item_id"], "left"
    )
    rows = labelled.select(
        *(name for name in BASE if name != "label"),
        F.coalesce("label", F.lit(0.0)).alias("label"),
        *(column.alias(name) for name, column in context_columns(schema, settings).items()),
        moment_of(F.col("request_at")).alias("moment"),
    )
    rows = _with_segments(night, kind, rows)
    # The one file of item facts goes to every task: items are many times fewer than impressions.
    rows = rows.join(F.broadcast(_item_fields(night, kind)), "item_id", "left")
    rows = _with_history(night, kind, rows, rows.select("item_id", "moment").distinct())
    extras = [name for name in rows.columns if name not in {*BASE, "moment"}]
    return rows.select(*BASE, *extras)


def _candidates(night: Night, kind: str) -> DataFrame:
    """Items available at the clock: item fields, history as of the clock, vectors, and the list they stand in."""
    items = night.warehouse.read("items", night.run).where((F.col("kind") == kind) & F.col("available"))
    # Products stand in the lists of their category; banners are one list.
    path = F.concat_ws(">", F.slice("category", 1, 2))
    named = path if kind == "product" else F.lit("banners")
    lists = items.select("item_id", F.lit(kind).alias("item_kind"), named.alias("list"))
    rows = lists.join(_item_fields(night, kind), "item_id").withColumn("moment", clock(night.as_of))
    rows = _with_history(night, kind, rows, rows.select("item_id", "moment"))
    for field in vector_fields(night.recipe.shelves[kind].fields):
        if field.name == "item_vector":
            rows = rows.join(items.select("item_id", F.col("vector").alias(field.name)), "item_id", "left")
        else:
            rows = rows.join(_texts(night, items, field.name, field.width), "item_id", "left")
    return rows.drop("moment")


def _item_fields(night: Night, kind: str) -> DataFrame:
    columns = item_columns(night.recipe.shelves[kind].fields, night.recipe.features)
    items = night.warehouse.read("items", night.run).where(F.col("kind") == kind)
    # `item_id` may itself be a field under another name.
    return items.select("item_id", *(column.alias(name) for name, column in columns.items()))


def _with_segments(night: Night, kind: str, rows: DataFrame) -> DataFrame:
    """Each user's segment of each family the schema names, by the last snapshot before the visit."""
    families = [field.name for field in night.recipe.shelves[kind].fields.of_role("segment")]
    if not families:
        return rows
    snapshots = night.warehouse.read("user_segments", night.run).where(F.col("family").isin(families))
    wide = snapshots.groupBy("user_id", "valid_from").agg(
        *(F.max(F.when(F.col("family") == family, F.col("segment"))).alias(family) for family in families)
    )
    dates = sorted(
        row["at"] for row in snapshots.select(F.col("valid_from").cast("string").alias("at")).distinct().collect()
    )
    passed: Column = F.lit(None).cast("timestamp")
    for date in dates:
        moment = F.lit(date).cast("timestamp")
        passed = F.when(F.col("request_at") >= moment, moment).otherwise(passed)
    return rows.withColumn("valid_from", passed).join(wide, ["user_id", "valid_from"], "left").drop("valid_from")


def _with_history(night: Night, kind: str, rows: DataFrame, asked: DataFrame) -> DataFrame:
    """Adds the numeric history fields of the schema, each (item, moment) computed once."""
    settings = night.recipe.features
    fields = history_fields(night.recipe.shelves[kind].fields, settings)
    items = night.warehouse.read("items", night.run).where(F.col("kind") == kind)
    if "age_days" in fields:
        born = items.select("item_id", "created_at")
        days = (F.unix_seconds("moment") - F.unix_seconds("created_at")) / 86_400.0
        rows = rows.join(F.broadcast(born), "item_id", "left").withColumn("age_days", days).drop("created_at")
    counts = known_counts(
        night.warehouse.read("exposure_counts", night.run).where(F.col("item_kind") == kind),
        night.warehouse.read("events", night.run).where(F.col("item_kind") == kind),
    )
    for level in settings.levels:
        names = [name for name in fields if name.startswith(f"{level}_")]
        if not names:
            continue
        keys = items.select("item_id", level_column(level, settings).alias("key")).where("key IS NOT NULL")
        keyed = counts.join(F.broadcast(keys), "item_id")
        wanted = asked.join(F.broadcast(keys), "item_id").select("key", "moment").distinct()
        found = rates_before(
            keyed, wanted, level=level, windows=settings.windows, prior_impressions=settings.prior_impressions
        ).select("key", "moment", *names)
        rows = (
            rows.join(F.broadcast(keys), "item_id", "left")
            .join(found.hint("shuffle_hash"), ["key", "moment"], "left")
            .drop("key")
        )
    return rows


def _texts(night: Night, items: DataFrame, name: str, width: int) -> DataFrame:
    """(item_id, vector of its texts), made on the driver: texts of a catalogue fit in memory, impressions do not."""
    told = items.select("item_id", F.concat_ws(" ", "title", "text").alias("words")).orderBy("item_id").toArrow()
    vectors = text_vectors(told["words"].to_pylist(), night.recipe.features.text, width=width)
    values = pa.ListArray.from_arrays(
        pa.array(range(0, vectors.size + 1, width), pa.int32()), pa.array(vectors.ravel(), pa.float32())
    )
    return night.spark.createDataFrame(pa.table({"item_id": told["item_id"], name: values}))


def _under(above: DataFrame, below: DataFrame) -> DataFrame:
    """Shelves have fields of their own: a field the other lacks is null there."""
    return above.unionByName(below, allowMissingColumns=True)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("build_examples", run)


if __name__ == "__main__":
    main()
