"""History of an item: a story told by hand, and the leak rule on shuffled worlds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyspark.sql import functions as F

from spark_jobs import build_examples
from spark_jobs.features.history import known_counts, rates_before
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

DAY_0 = datetime(2026, 1, 5, tzinfo=UTC)
AS_OF = DAY_0 + timedelta(days=12)
Row = dict[str, Any]


def at(day: float) -> datetime:
    return DAY_0 + timedelta(days=day)


def micros(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000 + time.microsecond


def frame(spark: SparkSession, table: str, rows: list[Row]) -> DataFrame:
    schema = schema_of(table)
    return spark.createDataFrame([tuple(row.get(name) for name in schema.fieldNames()) for row in rows], schema)


def event(item: str, kind: str, day: float, *, user: str = "u", request: str = "r", begins: float | None = None) -> Row:
    when = at(day)
    began = when if begins is None else at(begins)
    return {"event_id": f"{request}-{item}-{kind}-{day}", "ts": when, "user_id": user, "item_id": item,
            "item_kind": "product", "kind": kind, "request_id": request, "request_at": began,
            "sampling_rate": 0.5, "value": 1.0, "surface": "page", "position": 1}  # fmt: skip


def count(item: str, day: int, impressions: float, clicks: float) -> Row:
    return {"item_id": item, "item_kind": "product", "period_start": at(day), "period_end": at(day + 1),
            "impressions": float(impressions), "clicks": float(clicks)}  # fmt: skip


def test_a_story_of_five_events(spark: SparkSession) -> None:
    """Two days of impressions, a purchase in between, and what each midnight knows of them."""
    counts = [count("a", 0, 100, 10), count("a", 2, 50, 1), count("b", 0, 850, 0)]
    events = [event("a", "purchase", 0.5), event("a", "purchase", 1.999)]
    known = known_counts(frame(spark, "exposure_counts", counts), frame(spark, "events", events))
    asked = [(item, at(day)) for item in ("a", "c") for day in (0, 1, 2, 3, 4)]
    found = rates_before(
        known.withColumnRenamed("item_id", "key"),
        spark.createDataFrame(asked, "key STRING, moment TIMESTAMP"),
        level="item", windows=(2,), prior_impressions=100.0,
    )  # fmt: skip
    got = {
        (r["key"], r["day"]): r for r in found.withColumn("day", F.datediff("moment", F.lit(DAY_0.date()))).collect()
    }
    nothing, first, last = 0.5 / 1000, 10.5 / 1950, 11.5 / 2000
    for day, overall, impressions, clicks, recent, recent_clicks, bought in (
        (0, nothing, 0, 0, 0, 0, 0),
        (1, first, 100, 10, 100, 10, 1),
        (2, first, 100, 10, 100, 10, 2),
        (3, last, 150, 11, 50, 1, 1),
        (4, last, 150, 11, 50, 1, 0),
    ):
        # Two purchases, both known from day 2 on; the first day that is known of anything ends with day 1.
        total, days = (0, 1, 2, 2, 2)[day], max(day - 1, 1)
        assert got["a", day]["item_purchases_a_day"] == pytest.approx((total + 0.5) / days, rel=1e-12)
        row = got["a", day]
        to_date = (clicks + 100 * overall) / (impressions + 100)
        assert row["item_rate"] == pytest.approx(to_date, rel=1e-12)
        # The recent rate is drawn to the rate to date.
        assert row["item_rate_2d"] == pytest.approx((recent_clicks + 100 * to_date) / (recent + 100), rel=1e-12)
        assert (row["item_impressions"], row["item_impressions_2d"]) == (impressions, recent)
        assert row["item_purchases_2d"] == bought
        stranger = got["c", day]
        assert stranger["item_rate"] == pytest.approx(overall, rel=1e-12)
        assert stranger["item_impressions"] == 0


def test_a_rate_is_drawn_to_the_level_above_where_it_is_known(spark: SparkSession) -> None:
    known = known_counts(frame(spark, "exposure_counts", [count("a", 0, 100, 10)]), frame(spark, "events", []))
    asked = [("a", at(1), 0.3), ("a", at(2), None)]
    found = rates_before(
        known.withColumnRenamed("item_id", "key"),
        spark.createDataFrame(asked, "key STRING, moment TIMESTAMP, prior DOUBLE"),
        level="item", windows=(), prior_impressions=100.0,
    )  # fmt: skip
    told, untold = (row["item_rate"] for row in found.orderBy("moment").collect())
    assert told == pytest.approx((10 + 100 * 0.3) / 200, rel=1e-12)
    assert untold == pytest.approx((10 + 100 * 10.5 / 1100) / 200, rel=1e-12)


@dataclass(frozen=True)
class World:
    """Small tables that a story may be changed in."""

    events: tuple[Row, ...]
    counts: tuple[Row, ...]
    segments: tuple[Row, ...]

    def write(self, night: Night, seed: int) -> None:
        """Writes the tables, rows in another order for every seed."""
        random = np.random.default_rng(seed)
        tables: dict[str, list[Row]] = {
            "events": list(self.events),
            "exposure_counts": list(self.counts),
            "user_segments": list(self.segments),
            "items": ITEMS_ROWS,
        }
        for table, rows in tables.items():
            order = random.permutation(len(rows))
            shuffled = frame(night.spark, table, [rows[i] for i in order]).repartition(int(random.integers(1, 4)))
            night.warehouse.write(shuffled, table, night.run)


ITEMS = [f"i{n}" for n in range(6)]
ITEMS_ROWS: list[Row] = [
    {"item_id": item, "kind": "product", "title": item, "brand_id": f"brand {n % 2}", "category": ["FOOD", "SOUP"],
     "price": 1.0 + n, "created_at": at(-3), "available": True}
    for n, item in enumerate(ITEMS)
]  # fmt: skip
FIELDS = [
    {"name": "item"}, {"name": "brand_name"}, {"name": "demographic", "role": "segment"},
    {"name": "position", "role": "context"}, {"name": "price", "kind": "numeric"},
    *({"name": name, "kind": "numeric"} for name in (
        "age_days", "item_rate", "item_rate_3d", "item_impressions", "item_purchases_3d", "brand_name_rate_3d",
        "soup_rate",
    )),
]  # fmt: skip
RECIPE = {
    "name": "small",
    "source": {"kind": "world"},
    "families": {"demographic": {"kind": "demographic", "attributes": ["age"]}},
    "features": {
        "item_fields": {"item": "item_id", "brand_name": "brand_id", "soup": "category.1"},
        # Items stand in one soup, but the soup holds both brands: it is drawn to the whole shelf.
        "levels": ["brand_name", "soup", "item"],
        "windows": [3],
        "prior_impressions": 10,
    },
    "shelves": {"product": {"index": "products", "fields": {"fields": FIELDS}, "model": {"kind": "logistic"}}},
    "variants": {"A": {"scorer": "sales"}},
    "default_variant": "A",
}


def world(seed: int) -> World:
    """Visits on twelve days, some of them across midnight; counts a day; snapshots every few days."""
    random = np.random.default_rng(seed)
    events: list[Row] = []
    for visit in range(30):
        begins = float(random.uniform(0, 11.9)) if visit % 5 else int(random.integers(0, 12)) + 0.999
        request: dict[str, Any] = {"user": f"u{visit % 3}", "request": f"r{visit}", "begins": begins}
        for item in random.choice(ITEMS, 3, replace=False).tolist():
            events.append(event(item, "impression", begins, **request))
            if random.random() < 0.4:
                later = begins + float(random.uniform(0.0, 0.05))
                events += [event(item, kind, later, **request) for kind in ("click", "purchase")]
    counts = [count(item, day, float(random.integers(1, 50)), float(random.integers(0, 3)))
              for item in ITEMS for day in range(12) if random.random() < 0.7]  # fmt: skip
    segments = [
        {"user_id": f"u{n}", "family": "demographic", "segment": f"d_{random.integers(0, 9)}", "weight": 1.0,
         "valid_from": at(day)}
        for day in (0, 4, 8) for n in range(3)
    ]  # fmt: skip
    return World(tuple(events), tuple(counts), tuple(segments))


def changed_after(story: World, midnight: datetime, begins: datetime, seed: int) -> World:
    """Everything from the midnight on removed, altered or joined by something new; later snapshots too.

    Impressions and clicks of visits stay, because they are the rows and labels themselves.
    """
    random = np.random.default_rng(seed)
    events = [
        row if row["ts"] < midnight or row["kind"] != "purchase" else {**row, "item_id": str(random.choice(ITEMS))}
        for row in story.events
        if row["ts"] < midnight or row["kind"] != "purchase" or random.random() < 0.5
    ]
    day = (midnight - DAY_0).days
    events += [
        event(str(random.choice(ITEMS)), "purchase", day + float(random.uniform(0, 3)), request=f"new{n}")
        for n in range(12)
    ]
    events += [
        event(item, kind, day, request=f"whole new {item}") for item in ITEMS for kind in ("impression", "click")
    ]
    counts = [row for row in story.counts if row["period_end"] <= midnight]
    counts += [count(item, later, 9999, 999) for item in ITEMS for later in range(day, day + 2)]
    segments = [row if row["valid_from"] <= begins else {**row, "segment": "d_future"} for row in story.segments]
    segments.append({**story.segments[0], "valid_from": begins + timedelta(microseconds=1), "segment": "d_future"})
    return World(tuple(events), tuple(counts), tuple(segments))  # fmt: skip


def built(spark: SparkSession, folder: Path, story: World, seed: int) -> dict[tuple[str, str], tuple[Any, ...]]:
    night = Night(spark, Recipe.of(RECIPE), AS_OF, str(folder / f"tables{seed}"), folder / "work")
    story.write(night, seed)
    build_examples.run(night)
    # A collected timestamp is in the zone of this machine; microseconds since 1970 are not.
    rows = night.warehouse.read("examples", night.run).withColumn("request_at", F.unix_micros("request_at")).collect()
    assert [field["name"] for field in FIELDS] == rows[0].__fields__[7:]
    return {(row["request_id"], row["item_id"]): tuple(row) for row in rows}


STORY = world(1)


@pytest.fixture(scope="module")
def before(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[Any, ...]]:
    """The examples of the story as it was."""
    found = built(spark, tmp_path_factory.mktemp("before"), STORY, 1)
    assert len(found) == 90
    assert {row[5] for row in found.values()} == {0.0, 1.0}
    return found


def test_nothing_from_the_midnight_on_reaches_an_example(
    spark: SparkSession, tmp_path: Path, before: dict[tuple[str, str], tuple[Any, ...]]
) -> None:
    # The visit just before a midnight is the hardest: its clicks and purchases lie on the next day.
    visits = sorted({(row["request_at"], row["request_id"]) for row in STORY.events if row["kind"] == "impression"})
    begins, request = next(visit for visit in visits if visit[0].hour == 23 and visit[0] > at(4))
    midnight = begins.replace(hour=0, minute=0, second=0, microsecond=0)
    after = built(spark, tmp_path, changed_after(STORY, midnight, begins, 101), 101)
    # Visits of that day which began no later see the same snapshots and the same midnight; earlier ones all the more.
    held = {key: row for key, row in before.items() if row[1] <= micros(begins)}
    assert any(key[0] == request for key in held)
    assert {key: after[key] for key in held} == held
    later = {key: row for key, row in before.items() if row[1] > micros(midnight + timedelta(1))}
    assert all(after[key] != row for key, row in later.items()), "the change was real: what came later does see it"


def test_one_event_before_the_midnight_does_reach_it(
    spark: SparkSession, tmp_path: Path, before: dict[tuple[str, str], tuple[Any, ...]]
) -> None:
    begins, request, item = max((row[1], key[0], key[1]) for key, row in before.items())
    day = (begins - micros(DAY_0)) // 86_400_000_000
    # A millisecond before the midnight that begins the visit's day.
    more = replace(STORY, events=(*STORY.events, event(item, "purchase", day - 1e-8, request="one more")))
    after = built(spark, tmp_path, more, 103)
    bought = 7 + [field["name"] for field in FIELDS].index("item_purchases_3d")
    one, other = before[request, item], after[request, item]
    assert other[bought] == one[bought] + 1
    assert other[:bought] == one[:bought]
    assert other[bought + 1 :] == one[bought + 1 :]
