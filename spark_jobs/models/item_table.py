"""The `item_features` table in memory: one row a candidate, ordered by item id."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.dataset as ds


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
