"""Documents of what users chose: which words, faded how much, and nobody who has gone quiet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from segments.errors import UsageError
from segments.families.brand import BrandSettings
from spark_jobs.features.taste_documents import documents_at, names_of, quiet_users, summed_choices
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DATES = [BEGIN + timedelta(days=10), BEGIN + timedelta(days=20)]
ITEMS = [
    # id, brand, category, manufacturer, title
    ("i1", "11", ["food", "soup"], "m1", "Tomato soup"),
    ("i2", "11", ["food", "soup"], None, "Pea soup"),
    ("i3", "blue", ["home"], None, "A vase"),
    ("i4", None, [], None, None),
]
EVENTS = [
    # user, item, kind, day
    ("a", "i1", "purchase", 0.0),
    ("a", "i2", "purchase", 10.0),
    ("a", "i3", "click", 12.0),
    ("b", "i3", "purchase", 5.0),
    ("b", "i4", "purchase", 5.0),
    ("c", "i1", "purchase", 19.9),
    ("c", "i1", "purchase", 20.0),
]


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> tuple[DataFrame, DataFrame]:
    events = [(user, item, kind, BEGIN + timedelta(days=day)) for user, item, kind, day in EVENTS]
    items = [
        {"item_id": one, "kind": "product", "brand_id": brand, "category": path, "available": True, "title": title,
         "attributes": {"manufacturer": maker, "colour": "red"} if maker else {}}
        for one, brand, path, maker, title in ITEMS
    ]  # fmt: skip
    return (
        spark.createDataFrame(events, "user_id STRING, item_id STRING, kind STRING, ts TIMESTAMP"),
        spark.createDataFrame(items, schema_of("items")),
    )


def documents(tables: tuple[DataFrame, DataFrame], snapshot: int, **settings: object) -> dict[tuple[str, str], float]:
    family = BrandSettings.of(settings)
    sums = summed_choices(*tables, DATES, family)
    rows = documents_at(sums, snapshot, DATES, family).collect()
    return {(row["user_id"], row["word"]): row["weight"] for row in rows}


def test_a_document_knows_what_was_strictly_before_its_date(tables: tuple[DataFrame, DataFrame]) -> None:
    assert documents(tables, 0) == {("a", "11"): 1.0, ("b", "blue"): 1.0}
    # The date's own moment is too late; what has no brand says nothing; a click is no purchase.
    assert documents(tables, 1) == {("a", "11"): 2.0, ("b", "blue"): 1.0, ("c", "11"): 1.0}


def test_choices_fade_by_half_every_half_life(tables: tuple[DataFrame, DataFrame]) -> None:
    assert documents(tables, 0, half_life_days=10) == {("a", "11"): 0.5, ("b", "blue"): pytest.approx(0.5**0.5)}
    later = documents(tables, 1, half_life_days=10)
    assert later == {
        ("a", "11"): pytest.approx(0.25 + 0.5),
        ("b", "blue"): pytest.approx(0.5**1.5, abs=1e-6),
        ("c", "11"): pytest.approx(0.5**0.01, abs=1e-6),
    }


def test_users_gone_quiet_have_no_document(tables: tuple[DataFrame, DataFrame]) -> None:
    assert documents(tables, 0, quiet_days=5).keys() == {("b", "blue")}
    assert documents(tables, 1, quiet_days=10).keys() == {("a", "11"), ("c", "11")}
    sums = summed_choices(*tables, DATES, BrandSettings())
    assert {row["user_id"] for row in quiet_users(sums, DATES[1], BrandSettings(quiet_days=9)).collect()} == {"a", "b"}
    assert quiet_users(sums, DATES[1], BrandSettings(quiet_days=None)).count() == 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("products", {"i1", "i2"}),
        ("categories", {"soup"}),
        ("category.0", {"food"}),
        ("manufacturers", {"m1", "11"}),
        ("attributes.colour", {"red"}),
    ],
)
def test_the_words_are_the_familys_choice(tables: tuple[DataFrame, DataFrame], kind: str, words: set[str]) -> None:
    assert {word for user, word in documents(tables, 1, documents=kind) if user == "a"} == words


def test_clicks_may_count_as_well(tables: tuple[DataFrame, DataFrame]) -> None:
    assert documents(tables, 1, actions=("click",)) == {("a", "blue"): 1.0}


def test_unknown_documents_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match="documents"):
        BrandSettings.of({"documents": "brand"})


def test_words_have_names_people_read(tables: tuple[DataFrame, DataFrame]) -> None:
    items = tables[1]
    assert names_of(items, "brands", ["11", "blue"]) == {"11": "11 (soup)"}
    assert names_of(items, "products", ["i1", "i3"]) == {"i1": "Tomato soup", "i3": "A vase"}
    assert names_of(items, "brands", []) == {}
