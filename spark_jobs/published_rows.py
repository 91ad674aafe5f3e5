"""What a run publishes of a shelf, as frames: one row a document, its reasons, and what tells that it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.es_ranks import WHY_STRUCT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_jobs.tables import Warehouse

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


def document_marks(tables: Warehouse, run: str, kind: str) -> DataFrame:
    """(item_id, mark): the same mark as long as the document is the same, its rank fields included."""
    ranks = tables.read("ranks", run).where(F.col("item_kind") == kind)
    row = F.xxhash64("variant", "segment", "final").cast("decimal(38,0)")
    by_item = ranks.groupBy("item_id").agg(F.sum(row).alias("ranked"))
    lists = tables.read("item_features", run).where(F.col("item_kind") == kind).select("item_id", "list")
    return (
        content_marks(tables, run, kind)
        .join(F.broadcast(lists), "item_id")
        .join(by_item, "item_id", "left")
        .select("item_id", F.xxhash64("content", "list", F.col("ranked").cast("string")).alias("mark"))
    )


def content_marks(tables: Warehouse, run: str, kind: str) -> DataFrame:
    """(item_id, available, content): the same number as long as the item says the same of itself."""
    items = tables.read("items", run).where(F.col("kind") == kind)
    told = [F.to_json(name) if name == "attributes" else F.col(name) for name in CONTENT]
    return items.select("item_id", "available", F.xxhash64(*told).alias("content"))
