"""Who clicked what, and when: the clicks among the `examples`, which keep every click whatever they sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

Longs = NDArray[np.int64]


class Clicks(NamedTuple):
    """m clicks, each person's together, oldest first.

    user (m,): place in `users`; item (m,): place among the items asked for; users: ids, sorted.
    """

    user: Longs
    item: Longs
    users: list[str]

    @property
    def start(self) -> Longs:
        """(users + 1,) where each person's clicks begin."""
        return np.searchsorted(self.user, np.arange(len(self.users) + 1)).astype(np.int64)


def read_clicks(folder: str, items: pa.Array, *, item_kind: str, since: int, before: int) -> Clicks:
    """Clicks on known items in visits that began in [since, before), microseconds since 1970.

    Args:
        folder: what `Warehouse.folder("examples", run)` names.
        items: ids; a click on another item is left out.
        item_kind: `product` or `banner`.
    """
    begun = ds.field("request_at").cast(pa.timestamp("us")).cast(pa.int64())
    wanted = (ds.field("item_kind") == item_kind) & (ds.field("label") == 1.0) & (begun >= since) & (begun < before)
    columns = {"user": ds.field("user_id"), "item": ds.field("item_id"), "at": begun}
    table = ds.dataset(folder.removeprefix("file:")).to_table(columns, filter=wanted)
    item = np.asarray(pc.index_in(table.column("item"), value_set=items).fill_null(-1).to_numpy(), dtype=np.int64)
    users, user = np.unique(np.array(table.column("user").to_pylist(), dtype=str), return_inverse=True)
    order = np.lexsort((item, table.column("at").to_numpy(), user))
    order = order[item[order] >= 0]
    return Clicks(user[order].astype(np.int64), item[order], users.tolist())
