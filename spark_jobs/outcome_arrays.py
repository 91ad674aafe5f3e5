"""What the evaluation reads, as arrays: lists, visits and clicks of one kind of item, and the scores to judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from segments.hashing import hash_strings
from spark_jobs.evaluation.visits import Visits
from spark_jobs.history import clock, current_segments
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame

    from spark_jobs.tables import Warehouse

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
RATE_STRENGTH = 200.0


@dataclass(frozen=True)
class Outcomes:
    """What happened after the clock, for one kind of item.

    Attributes:
        kind: of item.
        items: item id of each item number; candidates and whatever stood in a list.
        users: user id of each user number.
        visits: lists and clicks.
        visit_user: (visits,) user of each visit.
        item_class: (items,) department of each item.
        classes: names of the departments.
        candidates: items that had features at the clock.
        product_rate: (items,) past clicks over impressions, shrunken to the overall rate by 200 impressions.
        segments_of: user → family → segment at the clock.
    """

    kind: str
    items: NDArray[Any]
    users: list[str]
    visits: Visits
    visit_user: I64
    item_class: I64
    classes: list[str]
    candidates: int
    product_rate: F64
    segments_of: dict[str, dict[str, str]]

    def grid(self, tables: Warehouse, run: str, *, variant: str, table: str) -> tuple[F64, list[str]]:
        """(segments, items) numbers of a variant, -inf where there is none, and the segments' names."""
        number = "draw" if table == "draws" else "pctr"
        rows = tables.read(table, run).where((F.col("item_kind") == self.kind) & (F.col("variant") == variant))
        table_ = rows.select("segment", "item_id", number).toArrow()
        if not table_.num_rows:
            return np.zeros((0, self.items.size)), []
        segment, segment_row = _coded(table_["segment"])
        item, item_row = _coded(table_["item_id"])
        place = np.searchsorted(self.items, item)
        known = self.items[np.minimum(place, self.items.size - 1)] == item
        grid = np.full((len(segment), self.items.size), -np.inf)
        keep = known[item_row]
        grid[segment_row[keep], place[item_row[keep]]] = table_[number].to_numpy()[keep]
        return grid, [str(name) for name in segment]


def read_outcomes(tables: Warehouse, run: str, *, as_of: datetime, kind: str) -> Outcomes:
    """Reads visits, lists and clicks after the clock; everything about items and users is as of the clock."""
    seen = (
        tables.read("visits", run)
        .where(F.col("item_kind") == kind)
        .select("request_id", "user_id", "list_id")
        .orderBy("request_id", "list_id")
        .toArrow()
    )
    listed, clicked = _columns(tables, run, "list_items"), _columns(tables, run, "visit_clicks")
    items = tables.read("items", run).where(F.col("kind") == kind)
    department = items.select("item_id", F.coalesce(F.col("category")[0], F.lit("unknown")).alias("name")).toArrow()
    candidates = tables.read("item_features", run).where(F.col("item_kind") == kind).select("item_id").toArrow()

    lists, list_of = _coded(seen["list_id"])
    requests, request_of = _coded(seen["request_id"])
    users, visit_user = _coded(seen["user_id"])
    list_row, item_names, item_row = _of_these(listed["list_id"], lists, listed["item_id"])
    click_request, click_names, click_item = _of_these(clicked["request_id"], requests, clicked["item_id"])
    known, _ = _coded(candidates["item_id"])
    all_items = np.unique(np.concatenate([known, item_names, click_names]))
    visit_of = np.zeros(requests.size, dtype=np.int64)
    visit_of[request_of] = np.arange(request_of.size)
    arrays = Visits.of(
        lists=list_row,
        items=np.searchsorted(all_items, item_names)[item_row],
        item_hash=hash_strings([str(name) for name in all_items]),
        list_of=list_of,
        click_visit=visit_of[click_request],
        click_item=np.searchsorted(all_items, click_names)[click_item],
    )
    classes, item_class = _departments(department, all_items)
    counts = tables.read("exposure_counts", run).where(F.col("item_kind") == kind)
    return Outcomes(
        kind, all_items, [str(user) for user in users], arrays, visit_user, item_class, classes, int(known.size),
        _product_rate(counts.where(F.col("period_end") <= clock(as_of)), all_items),
        by_user(current_segments(tables.read("user_segments", run), as_of)),
    )  # fmt: skip


def _columns(tables: Warehouse, run: str, table: str) -> Any:
    """A long table of strings. On a disk of this machine it is read without Spark, each string once."""
    folder = tables.folder(table, run)
    if "://" in folder:
        return tables.read(table, run).toArrow()
    from pyarrow import dataset

    names = schema_of(table).fieldNames()
    form = dataset.ParquetFileFormat(read_options=dataset.ParquetReadOptions(dictionary_columns=names))
    return dataset.dataset(folder.removeprefix("file:"), format=form).to_table()


def _coded(column: Any) -> tuple[NDArray[Any], I64]:
    """Distinct values of a string column, sorted, and the place of each row's value among them."""
    import pyarrow as pa

    encoded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    encoded = encoded.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object).astype(str)
    # Dictionaries that were unified may name a value that no row has.
    sorted_names, place = np.unique(names, return_inverse=True)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return sorted_names, np.asarray(place[codes] if codes.size else np.zeros(0), dtype=np.int64)


def _of_these(keys: Any, wanted: NDArray[Any], values: Any) -> tuple[I64, NDArray[Any], I64]:
    """Rows whose key is wanted: place of the key among the wanted, distinct values, and each row's value."""
    names, row = _coded(keys)
    place = np.searchsorted(wanted, names)
    there = np.zeros(names.size, dtype=bool)
    if wanted.size:
        there = wanted[np.minimum(place, wanted.size - 1)] == names
    keep = there[row]
    value_names, value_row = _coded(values)
    used, used_row = np.unique(value_row[keep], return_inverse=True)
    return np.asarray(place[row[keep]], dtype=np.int64), value_names[used], used_row.astype(np.int64)


def _departments(table: Any, items: NDArray[Any]) -> tuple[list[str], I64]:
    names, row = _coded(table["name"])
    ids, id_row = _coded(table["item_id"])
    classes = [*(str(name) for name in names), "unknown"]
    of_item = np.full(items.size, len(classes) - 1, dtype=np.int64)
    place = np.searchsorted(items, ids)
    there = np.zeros(ids.size, dtype=bool)
    if items.size:
        there = items[np.minimum(place, items.size - 1)] == ids
    of_id = np.zeros(ids.size, dtype=np.int64)
    of_id[id_row] = row
    of_item[place[there]] = of_id[there]
    return classes, of_item


def _product_rate(counts: DataFrame, items: NDArray[Any]) -> F64:
    table = (
        counts.groupBy("item_id").agg(F.sum("impressions").alias("shown"), F.sum("clicks").alias("clicks")).toArrow()
    )
    ids, row = _coded(table["item_id"])
    shown, clicks = (table[name].to_numpy() for name in ("shown", "clicks"))
    overall = float(clicks.sum() / max(shown.sum(), 1.0))
    rate = np.full(items.size, overall)
    place = np.searchsorted(items, ids)[row]
    inside = items[np.minimum(place, max(items.size - 1, 0))] == ids[row]
    rate[place[inside]] = ((clicks + RATE_STRENGTH * overall) / (shown + RATE_STRENGTH))[inside]
    return rate


def by_user(frame: DataFrame) -> dict[str, dict[str, str]]:
    """User → family → segment of `current_segments`."""
    found: dict[str, dict[str, str]] = {}
    for user, family, segment in zip(*(column.to_pylist() for column in frame.toArrow().columns), strict=True):
        found.setdefault(user, {})[family] = segment
    return found
