"""What a run publishes of a shelf, as frames: one row a document, and a mark that tells whether it changed.

A mark is a checksum of all that the document is made of; what differs between two runs is found by comparing marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from es_ranking.publish.changes import Changes
from es_ranking.publish.generation import users_alias, why_alias
from spark_jobs.es_ranks import WHY_STRUCT
from spark_jobs.history import current_segments

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from spark_jobs.tables import Warehouse

# The tables that documents, reasons and users' segments are made of.
TABLES = ("items", "item_features", "ranks", "user_segments")

# What a document says of its item; a vector is not in it.
CONTENT = ("title", "text", "brand_id", "category", "price", "created_at", "store_id", "attributes")


def document_rows(tables: Warehouse, run: str, kind: str, *, vectors: str | None = None) -> DataFrame:
    """One row an item of the shelf: its columns, its list, all its ranks, and its vector for the personal re-sort.

    Args:
        vectors: run whose vectors are published; None: items have none.
    """
    ranks = tables.read("ranks", run).where(F.col("item_kind") == kind)
    by_item = ranks.groupBy("item_id").agg(F.collect_list(F.struct("variant", "segment", "final")).alias("ranks"))
    lists = tables.read("item_features", run).where(F.col("item_kind") == kind).select("item_id", "list")
    items = tables.read("items", run).where(F.col("kind") == kind).drop("vector")
    rows = items.join(F.broadcast(lists), "item_id").join(by_item, "item_id", "left")
    if vectors is None:
        return rows
    packed = tables.read("taste_vectors", vectors).where(F.col("item_kind") == kind).select("item_id", "packed")
    return rows.join(packed, "item_id", "left")


def reason_rows(tables: Warehouse, run: str, kind: str, *, places: int) -> DataFrame:
    """(item_id, reasons) of the first places of every list."""
    ranks = tables.read("ranks", run).where(F.col("item_kind") == kind)
    first = ranks.where(F.col("rank") <= places)
    return first.groupBy("item_id").agg(F.collect_list(F.struct(*WHY_STRUCT)).alias("reasons"))


def user_rows(tables: Warehouse, run: str, as_of: datetime) -> DataFrame:
    """(user_id, segments) of everybody who has a segment at the clock."""
    current = current_segments(tables.read("user_segments", run), as_of)
    return current.groupBy("user_id").agg(F.collect_list(F.struct("family", "segment")).alias("segments"))


def index_marks(
    tables: Warehouse, run: str, kind: str, *, alias: str, as_of: datetime, places: int
) -> dict[str, DataFrame]:
    """alias → (id, mark) of every document that a run publishes of a shelf, index by index.

    Args:
        as_of: the run's clock.
        places: first places of a list whose reasons are kept.
    """
    users = current_segments(tables.read("user_segments", run), as_of)
    ranks = tables.read("ranks", run).where((F.col("item_kind") == kind) & (F.col("rank") <= places))
    return {
        alias: document_marks(tables, run, kind),
        why_alias(alias): ranks.groupBy(F.col("item_id").alias("id")).agg(_sum(*WHY_STRUCT).alias("mark")),
        users_alias(alias): users.groupBy(F.col("user_id").alias("id")).agg(_sum("family", "segment").alias("mark")),
    }


def differences(new: DataFrame, old: DataFrame) -> DataFrame:
    """(id, what): each document of either is `added`, `changed`, `removed` or the `same`."""
    what = (
        F.when(F.col("was").isNull(), "added")
        .when(F.col("mark").isNull(), "removed")
        .when(F.col("mark") != F.col("was"), "changed")
        .otherwise("same")
    )
    return new.join(old.withColumnRenamed("mark", "was"), "id", "full").select("id", what.alias("what"))


def with_owned(marks: DataFrame, ids: Sequence[str]) -> DataFrame:
    """Marks of an index's documents, those that owners have written into it with a mark that no run gives."""
    if not ids:
        return marks
    owned = marks.sparkSession.createDataFrame([(one,) for one in ids], "id STRING")
    return marks.join(owned, "id", "left_anti").unionByName(owned.withColumn("mark", F.lit(0).cast("long")))


def counted(moved: DataFrame) -> Changes:
    """How many of each."""
    return Changes(**{row["what"]: row["count"] for row in moved.groupBy("what").count().collect()})


def checksum(marks: DataFrame) -> str:
    """One text for all documents of an index: another one as soon as any differs."""
    row = marks.agg(F.count("*").alias("n"), _sum("id", "mark").alias("sum")).collect()[0]
    return f"{row['n']}:{row['sum']}"


@contextmanager
def holding() -> Iterator[Callable[[DataFrame], DataFrame]]:
    """Inside, a frame given to what this yields is computed once; afterwards all of them are let go."""
    with ExitStack() as stack:

        def hold(frame: DataFrame) -> DataFrame:
            stack.callback(frame.unpersist)
            return frame.persist()

        yield hold


def document_marks(tables: Warehouse, run: str, kind: str) -> DataFrame:
    """(id, mark): the same mark as long as the document is the same, its rank fields included."""
    ranks = tables.read("ranks", run).where(F.col("item_kind") == kind)
    by_item = ranks.groupBy("item_id").agg(_sum("variant", "segment", "final").alias("ranked"))
    lists = tables.read("item_features", run).where(F.col("item_kind") == kind).select("item_id", "list")
    return (
        content_marks(tables, run, kind)
        .join(F.broadcast(lists), "item_id")
        .join(by_item, "item_id", "left")
        .select(F.col("item_id").alias("id"), F.xxhash64("content", "available", "list", "ranked").alias("mark"))
    )


def content_marks(tables: Warehouse, run: str, kind: str) -> DataFrame:
    """(item_id, available, content): the same number as long as the item says the same of itself."""
    items = tables.read("items", run).where(F.col("kind") == kind)
    told = [F.to_json(name) if name == "attributes" else F.col(name) for name in CONTENT]
    return items.select("item_id", "available", F.xxhash64(*told).alias("content"))


def _sum(*names: str) -> Column:
    """A checksum of rows, whatever their order."""
    return F.sum(F.xxhash64(*names).cast("decimal(38,0)")).cast("string")
