"""The `item_features` table in memory: one row a candidate, ordered by item id."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.dataset as ds

from spark_jobs.fields import FieldSchema


def read_items(folder: str, fields: Iterable[str], *, item_kind: str) -> pa.Table:
    """`item_id` and those of the named fields that the table has.

    Args:
        folder: what `Warehouse.folder("item_features", run)` names.
        fields: names of columns; the grid reads absent ones as neutral.
        item_kind: `product` or `banner`.
    """
    dataset = ds.dataset(folder.removeprefix("file:"))
    columns = ["item_id", *(name for name in fields if name in dataset.schema.names and name != "item_id")]
    return dataset.to_table(columns=columns, filter=ds.field("item_kind") == item_kind).sort_by("item_id")


def read_vectors(folder: str, schema: FieldSchema, *, item_kind: str) -> pa.Table | None:
    """`item_id` and the vectors among a schema's fields; None where it has no vectors, and nothing need be read."""
    names = [field.name for field in schema.of_kind("vector")]
    return read_items(folder, names, item_kind=item_kind) if names else None
