"""The logs of a generated world as examples, without Spark, and what a ranking of it is truly worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, examples_of
from spark_jobs.sources.world_day import US_A_DAY, category_name, day_of_users, user_id
from spark_jobs.sources.world_settings import WorldSettings
from spark_jobs.sources.world_truth import GRADES, Shelf, Truth
from spark_jobs.vectors.files import lists

Doubles = NDArray[np.float64]
SCHEMA = FieldSchema(
    fields=(
        Field(name="item", buckets=8192),
        Field(name="brand_name", buckets=1024),
        Field(name="category", buckets=1024),
        Field(name="price_tier", buckets=64),
        Field(name="demographic", role="segment", buckets=256),
        Field(name="grade", role="segment", buckets=64),
        Field(name="position", role="context", buckets=64),
    )
)


class Days:
    """All logged days of a world.

    Attributes:
        truth: who likes what.
        examples: one row an impression of a product, of all days.
        begin: microseconds since 1970 of the first day's midnight.
    """

    def __init__(self, settings: WorldSettings, *, schema: FieldSchema = SCHEMA) -> None:
        self.truth = Truth(settings)
        self.begin = int(np.datetime64(settings.start, "us").astype(np.int64))
        tables = [self._day(day) for day in range(settings.days)]
        self.examples: Examples = examples_of(pa.concat_tables(tables), Encoder(schema), vectors=self.items())
        self._place = np.argsort(self.examples.time, kind="stable")
        self._time = self.examples.time[self._place]

    def between(self, first: int, last: int) -> Examples:
        """Examples of days first … last − 1."""
        low, high = np.searchsorted(self._time, [self.midnight(first), self.midnight(last)])
        # In the order of `examples`, whichever days are asked for.
        return self.examples.where(np.sort(self._place[low:high]))

    def midnight(self, day: int) -> int:
        """Microseconds since 1970 where a day begins."""
        return self.begin + day * US_A_DAY

    def items(self) -> pa.Table:
        """One row a product, as the grid reads it."""
        shelf = self.truth.products
        columns = item_columns(shelf, np.arange(len(shelf.ids)))
        return pa.table({**columns, "item_vector": lists(self.truth.vectors(shelf, "product"))})

    def segments(self) -> list[dict[str, str]]:
        """Field values of each segment, in the order of the truth's."""
        return [{"demographic": name} for name in self.truth.segment_names]

    def click_rate(self, scores: Doubles | None, day: int, *, top: int) -> float:
        """True click rate of the first places of every list on a day, over segments by their users.

        Args:
            scores: (items, segments); None orders by the truth itself, the best there is.
            day: counted from the world's first.
            top: places of each list.
        """
        shelf = self.truth.products
        rates = self.truth.segment_click_rate(shelf, day).T
        order = rates if scores is None else scores
        users = np.bincount(self.truth.segment, minlength=rates.shape[1]).astype(np.float64)
        told: list[Doubles] = []
        for category in range(self.truth.settings.categories):
            there = np.flatnonzero(shelf.shown_on(day) & (shelf.category == category))
            if not there.size:
                continue
            first = np.argsort(-order[there], axis=0, kind="stable")[:top]
            bias = self.truth.position_bias(np.arange(1, len(first) + 1))
            told.append((np.take_along_axis(rates[there], first, axis=0) * bias[:, None]).mean(axis=0))
        return float(np.average(np.nan_to_num(np.mean(told, axis=0)), weights=users))

    def _day(self, day: int) -> pa.Table:
        truth = self.truth
        events = day_of_users(truth, day, range(truth.settings.users))
        kinds = np.asarray(events["kind"].to_numpy(zero_copy_only=False), dtype=str)
        pair = np.char.add(
            np.asarray(events["request_id"].to_numpy(zero_copy_only=False), dtype=str),
            np.asarray(events["item_id"].to_numpy(zero_copy_only=False), dtype=str),
        )
        shown = events.filter(pa.array(kinds == "impression"))
        label = np.isin(pair[kinds == "impression"], pair[kinds == "click"]).astype(np.float64)
        user = _numbers(shown["user_id"].to_pylist(), [user_id(n) for n in range(truth.settings.users)])
        item = _numbers(shown["item_id"].to_pylist(), truth.products.ids)
        demographic = np.array(truth.segment_names, dtype=object)[truth.segment[user]]
        return pa.table(
            {
                "request_id": shown["request_id"],
                "request_at": shown["request_us"].cast(pa.timestamp("us")),
                "user_id": shown["user_id"],
                **item_columns(truth.products, item),
                "label": label,
                "sampling_rate": np.ones(len(label)),
                "demographic": pa.array(demographic, pa.string()),
                "grade": pa.array(np.array(GRADES, dtype=object)[truth.grade[user]], pa.string()),
                "position": shown["position"].cast(pa.string()),
            }
        )


def item_columns(shelf: Shelf, item: NDArray[np.int64]) -> dict[str, pa.Array]:
    """The item columns of `examples` and `item_features`, one row for each number of an item."""
    names = {
        "item_id": [shelf.ids[n] for n in item.tolist()],
        "item": [shelf.ids[n] for n in item.tolist()],
        "brand_name": [f"brand {n:02d}" for n in shelf.brand[item].tolist()],
        "category": [category_name(n) for n in shelf.category[item].tolist()],
        "price_tier": [str(n) for n in shelf.tier[item].tolist()],
    }
    return {name: pa.array(values, pa.string()) for name, values in names.items()}


def _numbers(values: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    places = {name: n for n, name in enumerate(known)}
    return np.array([places[value] for value in values], dtype=np.int64)
