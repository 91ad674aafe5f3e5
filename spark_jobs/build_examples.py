"""Step 3: one row an impression with what was known before its visit, and one row a candidate item as of the clock."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segments.errors import Refused, UsageError
from spark_jobs.features.acts import act_labels
from spark_jobs.features.columns import (
    context_columns,
    history_fields,
    item_columns,
    level_column,
    level_fields,
    vector_fields,
)
from spark_jobs.features.history import known_counts, moment_of, rates_before
from spark_jobs.features.text_vectors import text_vectors
from spark_jobs.history import clock
from spark_jobs.item_vectors import item_vectors
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.sources.refuse import EVENT_KINDS
from spark_jobs.vectors.files import lists

if TYPE_CHECKING:
    from pyspark.sql import Column

    from spark_jobs.night import Night

BASE = ("request_id", "request_at", "user_id", "item_id", "item_kind", "label", "sampling_rate")
# A table of so few rows is sent to every task instead of sorting the impressions to meet it.
FEW_ROWS = 2_000_000


def run(night: Night) -> dict[str, object]:
    """Writes `examples` and `item_features` of every shelf.

    Raises:
        UsageError: the recipe's fields name a feature nothing can make; the known ones are listed.
        Refused: a shelf has no candidate items.
    """
    kinds = sorted(night.recipe.shelves)
    kept: list[DataFrame] = []
    try:
        histories = {kind: _history(night, kind, kept) for kind in kinds}
        return _written(night, kinds, histories)
    finally:
        for frame in kept:
            frame.unpersist()


def _written(night: Night, kinds: list[str], histories: dict[str, DataFrame | None]) -> dict[str, object]:
    features = reduce(_under, (_candidates(night, kind, histories[kind]) for kind in kinds))
    examples = reduce(_under, (_examples(night, kind, histories[kind]) for kind in kinds))
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


def _shown(night: Night, kind: str) -> DataFrame:
    """The impressions that become examples."""
    settings = night.recipe.features
    events = night.warehouse.read("events", night.run).where(F.col("item_kind") == kind)
    shown = events.where((F.col("kind") == "impression") & (F.col("request_at") < clock(night.as_of)))
    if settings.warmup_days:
        first = events.agg(F.min("ts").cast("string").alias("first")).first()
        begin = F.lit(first["first"] if first else None).cast("timestamp") + F.expr(
            f"INTERVAL {settings.warmup_days} DAY"
        )
        shown = shown.where(F.col("request_at") >= begin)
    moment = moment_of(F.col("request_at"), as_of=night.as_of, refresh_days=settings.refresh_days)
    return shown.withColumn("moment", moment)


def _examples(night: Night, kind: str, history: DataFrame | None) -> DataFrame:
    schema, settings = night.recipe.shelves[kind].fields, night.recipe.features
    events = night.warehouse.read("events", night.run).where(F.col("item_kind") == kind)
    clicked = events.where(F.col("kind") == "click").select("request_id", "item_id").distinct()
    # Clicks are few beside impressions: a table of them a partition saves sorting all impressions.
    clicked = clicked.withColumn("label", F.lit(1.0)).hint("shuffle_hash")
    labelled = _shown(night, kind).join(clicked, ["request_id", "item_id"], "left")
    tasks = tasks_of(night.recipe.shelves[kind].model)
    for task in tasks:
        if task not in EVENT_KINDS:
            raise UsageError.unknown("task", task, EVENT_KINDS, where="model.tasks")
    if tasks:
        acted = act_labels(events, tasks, as_of=night.as_of, long_dwell_seconds=settings.long_dwell_seconds)
        labelled = labelled.join(acted.hint("shuffle_hash"), ["request_id", "item_id"], "left")
    rows = labelled.select(
        *(name for name in BASE if name != "label"),
        *(F.coalesce(name, F.lit(0.0)).alias(name) for name in ("label", *(f"label_{task}" for task in tasks))),
        *(column.alias(name) for name, column in context_columns(schema, settings).items()),
        "moment",
    )
    # Joined while the rows are narrow; what follows goes to every task and moves no row.
    if history is not None:
        rows = rows.join(history, ["item_id", "moment"], "left")
    rows = _with_segments(night, kind, rows)
    # The one file of item facts goes to every task: items are many times fewer than impressions.
    rows = rows.join(F.broadcast(_item_fields(night, kind)), "item_id", "left")
    fields = [field.name for field in schema.fields if field.name in rows.columns]
    return rows.select(*BASE, *(f"label_{task}" for task in tasks), *fields)


def _candidates(night: Night, kind: str, history: DataFrame | None) -> DataFrame:
    """Items available at the clock: item fields, history as of the clock, vectors, and the list they stand in."""
    items = night.warehouse.read("items", night.run).where((F.col("kind") == kind) & F.col("available"))
    schema = night.recipe.shelves[kind].fields
    # Products stand in the lists of their category; banners are one list.
    path = F.concat_ws(">", F.slice("category", 1, 2))
    named = path if kind == "product" else F.lit("banners")
    lists = items.select("item_id", F.lit(kind).alias("item_kind"), named.alias("list"))
    rows = lists.join(_item_fields(night, kind), "item_id")
    if history is not None:
        rows = rows.join(history.where(F.col("moment") == clock(night.as_of)).drop("moment"), "item_id", "left")
    for field in vector_fields(schema):
        if field.name == "item_vector":
            rows = rows.join(item_vectors(night, kind, items, field), "item_id", "left")
        else:
            rows = rows.join(_texts(night, items, field.name, field.width), "item_id", "left")
    return rows


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
    if _rows(night, "user_segments") <= FEW_ROWS:
        wide = F.broadcast(wide)
    return rows.withColumn("valid_from", passed).join(wide, ["user_id", "valid_from"], "left").drop("valid_from")


def _history(night: Night, kind: str, kept: list[DataFrame]) -> DataFrame | None:
    """(item_id, moment) and the numeric history fields of the schema, for every example and every candidate.

    Many impressions share an item and a moment, so each is computed once. What is kept in memory is added to `kept`.
    """
    settings = night.recipe.features
    fields = history_fields(night.recipe.shelves[kind].fields, settings)
    if not fields:
        return None
    tables = night.warehouse
    items = tables.read("items", night.run).where(F.col("kind") == kind)
    counts = known_counts(
        tables.read("exposure_counts", night.run).where(F.col("item_kind") == kind),
        tables.read("events", night.run).where(F.col("item_kind") == kind),
    ).persist()
    kept.append(counts)
    candidates = items.where("available").select("item_id", clock(night.as_of).alias("moment"))
    found = _shown(night, kind).select("item_id", "moment").union(candidates).distinct()
    if "age_days" in fields:
        days = (F.unix_seconds("moment") - F.unix_seconds("created_at")) / 86_400.0
        found = found.join(F.broadcast(items.select("item_id", "created_at")), "item_id", "left")
        found = found.withColumn("age_days", days).drop("created_at")
    above = wider = None
    for level in settings.levels:
        found = found.persist()
        kept.append(found)
        names = [name for name in level_fields(level, settings) if name in {*fields, f"{level}_rate"}]
        own = level_column(level, settings)
        keys = items.select("item_id", own.alias("key")).where("key IS NOT NULL")
        keyed = counts.join(F.broadcast(keys), "item_id")
        wanted = found.join(F.broadcast(keys), "item_id")
        if above is None or wider is None:
            wanted = wanted.select("key", "moment").distinct()
        else:
            inside = _inside(items, own, wider).select("key", F.lit(True).alias("inside"))
            prior = F.max(F.when(F.col("inside"), F.col(above)))
            wanted = wanted.join(F.broadcast(inside), "key", "left").groupBy("key", "moment").agg(prior.alias("prior"))
        rates = rates_before(
            keyed, wanted, level=level, windows=settings.windows, prior_impressions=settings.prior_impressions
        ).select("key", "moment", *names)
        found = found.join(F.broadcast(keys), "item_id", "left").join(rates, ["key", "moment"], "left").drop("key")
        above, wider = f"{level}_rate", own
    found = found.select("item_id", "moment", *fields).persist()
    kept.append(found)
    return found


def _inside(items: DataFrame, own: Column, wider: Column) -> DataFrame:
    """The keys whose items all stand in one wider group (an item in its type, a type in its department).

    Only these are drawn to it. For a brand of several types it would matter which of its items were shown that day, and
    an example must not know that.
    """
    groups = F.size(F.collect_set(F.coalesce(wider, F.lit(""))))
    told = items.groupBy(own.alias("key")).agg(groups.alias("groups"), F.min(wider).alias("wider"))
    return told.where((F.col("groups") == 1) & F.col("wider").isNotNull())


def _texts(night: Night, items: DataFrame, name: str, width: int) -> DataFrame:
    """(item_id, vector of its texts), made on the driver: texts of a catalogue fit in memory, impressions do not."""
    told = items.select("item_id", F.concat_ws(" ", "title", "text").alias("words")).orderBy("item_id").toArrow()
    vectors = text_vectors(told["words"].to_pylist(), night.recipe.features.text, width=width)
    return night.spark.createDataFrame(pa.table({"item_id": told["item_id"], name: lists(vectors)}))


def _rows(night: Night, table: str) -> int:
    manifest = night.warehouse.manifest(table, night.run)
    return 0 if manifest is None else manifest.rows


def _under(above: DataFrame, below: DataFrame) -> DataFrame:
    """Shelves have fields of their own: a field the other lacks is null there."""
    return above.unionByName(below, allowMissingColumns=True)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("build_examples", run)


if __name__ == "__main__":
    main()
