"""A generated world whose truth is known: any size, the same for the same seed, whatever the partitions.

Users with gender, age and grade ask for category lists, some by a search term; they are shown a page of products with
banners above it, click by `world_truth.Truth.click_probability` and the position, and then dwell, save, like, follow,
put in the cart and buy; from lures they turn away. New products appear, others sell out, banners come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from spark_jobs.sources.clock import moment
from spark_jobs.sources.requests import daily_exposures, shown_lists
from spark_jobs.sources.world_day import EVENTS, category_name, day_of_users, user_id
from spark_jobs.sources.world_settings import WorldSettings
from spark_jobs.sources.world_truth import AGES, GENDERS, GRADES, Shelf, Truth
from spark_jobs.tables import conform, schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_USERS_A_TIME = 1000
_BATCH = 4096
# An item is in the catalogue half a day before it is first shown: there are items nobody has seen yet.
_AHEAD = timedelta(hours=12)


class World:
    """The adapter. Spark keeps the generated events until `release`."""

    def __init__(self, settings: WorldSettings) -> None:
        self.settings = settings
        self.begin = datetime.combine(settings.start, time(), tzinfo=UTC)
        self._kept: list[DataFrame] = []

    def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
        events = self._events(spark, self.begin, until)
        # Written, counted and checked: generated once.
        self._kept.append(events.persist())
        frames = {
            "events": events,
            "items": self._items(spark, until),
            "users": self._users(spark, until),
            "exposure_counts": daily_exposures(events, until),
            "refused": spark.createDataFrame([], schema_of("refused")),
        }
        return {name: conform(frame, name) for name, frame in frames.items()}

    def lists(self, spark: SparkSession, since: datetime, until: datetime) -> dict[str, DataFrame]:
        events = self._events(spark, since, until).persist()
        self._kept.append(events)
        return {name: conform(frame, name) for name, frame in shown_lists(events, since).items()}

    def release(self) -> None:
        while self._kept:
            self._kept.pop().unpersist()

    def _events(self, spark: SparkSession, since: datetime, until: datetime) -> DataFrame:
        first = max(0, (since - self.begin).days)
        last = min(self.settings.days, -((self.begin - until) // timedelta(days=1)))
        groups = -(-self.settings.users // _USERS_A_TIME)
        pieces = max(0, last - first) * groups
        tasks = spark.range(first * groups, first * groups + pieces, 1, self.settings.partitions or None)
        rows = tasks.mapInArrow(_generator(self.settings, groups), EVENTS)
        return as_events(rows).where(F.col("ts") < moment(until))

    def _items(self, spark: SparkSession, until: datetime) -> DataFrame:
        truth = Truth(self.settings)
        rows = [*self._shelf(truth, "product", until), *self._shelf(truth, "banner", until)]
        return spark.createDataFrame(rows, schema_of("items"))

    def _shelf(self, truth: Truth, kind: str, until: datetime) -> Iterator[tuple[Any, ...]]:
        shelf: Shelf = truth.products if kind == "product" else truth.banners
        vectors = truth.vectors(shelf, kind)
        for n, item_id in enumerate(shelf.ids):
            created = self.begin + timedelta(days=int(shelf.first_day[n])) - _AHEAD
            gone = self.begin + timedelta(days=int(shelf.last_day[n]))
            if created >= until:
                continue
            brand, category = f"brand {shelf.brand[n]:02d}", category_name(int(shelf.category[n]))
            path = [f"department {shelf.category[n] % 3}", category] if kind == "product" else ["banners"]
            price = float(shelf.price[n]) if kind == "product" else None
            attributes = {"brand": brand, "category": category}
            if kind == "product":
                attributes["price_tier"] = str(shelf.tier[n])
            title = f"{brand} {category} {kind} {n}"
            text = f"{title} from {brand} for {path[0]}"
            yield (item_id, kind, title, text, brand, path, price, _naive(created), gone > until, None, attributes,
                   vectors[n].tolist())  # fmt: skip

    def _users(self, spark: SparkSession, until: datetime) -> DataFrame:
        truth = Truth(self.settings)
        points = truth.points()
        registered = _naive(self.begin - timedelta(days=1))
        rows = []
        if self.begin < until:
            for n in range(self.settings.users):
                traits = {
                    "gender": GENDERS[truth.gender[n]],
                    "age": AGES[truth.age[n]],
                    "grade": GRADES[truth.grade[n]],
                }
                rows.append((user_id(n), {**traits, "points": str(points[n])}, registered))
        return spark.createDataFrame(rows, schema_of("users"))


def as_events(rows: DataFrame) -> DataFrame:
    """The contract's columns of `EVENTS` rows."""
    ts, request_at = (F.timestamp_micros(name) for name in ("us", "request_us"))
    frame = rows.withColumns({"ts": ts, "request_at": request_at, "sampling_rate": F.lit(1.0)})
    frame = frame.withColumn("context", F.create_map(F.lit("category"), F.col("list")))
    return frame.select(*schema_of("events").fieldNames())


def _generator(settings: WorldSettings, groups: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """(day, group of users) numbers → their events."""

    def generate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        truth = Truth(settings)
        for batch in batches:
            for piece in batch.column(0).to_pylist():
                day, group = divmod(piece, groups)
                users = range(group * _USERS_A_TIME, min(settings.users, (group + 1) * _USERS_A_TIME))
                yield from day_of_users(truth, day, users).to_batches(max_chunksize=_BATCH)

    return generate


def _naive(value: datetime) -> datetime:
    """Aware: Spark takes a naive time for the driver's own zone."""
    return value.astimezone(UTC)
