"""Names of fields: each stands for one column, and an unknown one is answered with the nearest known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segments.errors import UsageError
from spark_jobs.features.columns import (
    context_columns,
    history_fields,
    item_columns,
    known_history,
    level_column,
    level_fields,
    vector_fields,
)
from spark_jobs.features.settings import FeatureSettings
from spark_jobs.fields import Field, FieldSchema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS = FeatureSettings(
    item_fields={"item": "item_id", "type": "category.2", "colour": "attributes.colour", "brand": "brand_id"},
    numeric_fields={"price": "price", "weight": "attributes.weight"},
    context_fields={"place": "position", "display": "context.display"},
    levels=("item", "brand"),
    windows=(7,),
)


def schema(*fields: Field) -> FieldSchema:
    return FieldSchema(fields=fields)


def test_columns_of_items_paths_and_attributes(spark: SparkSession) -> None:
    items = spark.createDataFrame(
        [("i1", ["FOOD", "SOUP", "TIN"], 2.5, {"colour": "red", "weight": "0.4"}), ("i2", ["FOOD"], None, {})],
        "item_id STRING, category ARRAY<STRING>, price DOUBLE, attributes MAP<STRING,STRING>",
    )
    fields = schema(Field(name="item"), Field(name="type"), Field(name="colour"),
                    Field(name="price", kind="numeric"), Field(name="weight", kind="numeric"),
                    Field(name="demographic", role="segment"))  # fmt: skip
    columns = item_columns(fields, SETTINGS)
    found = items.select(*(column.alias(name) for name, column in columns.items())).collect()
    assert [tuple(row) for row in found] == [("i1", "TIN", "red", 2.5, 0.4), ("i2", None, None, None, None)]
    assert list(columns) == ["item", "type", "colour", "price", "weight"]


def test_columns_of_events(spark: SparkSession) -> None:
    events = spark.createDataFrame([(3, {"display": "end"})], "position INT, context MAP<STRING,STRING>")
    columns = context_columns(
        schema(Field(name="place", role="context"), Field(name="display", role="context")), SETTINGS
    )
    assert tuple(events.select(*columns.values()).collect()[0]) == ("3", "end")


def test_every_history_name_is_made_by_one_level() -> None:
    assert level_fields("item", SETTINGS) == [
        "item_rate", "item_rate_7d", "item_impressions", "item_impressions_7d", "item_purchases_7d",
        "item_purchases_a_day",
    ]  # fmt: skip
    known = known_history(SETTINGS)
    assert len(known) == len(set(known)) == 13
    fields = schema(*(Field(name=name, kind="numeric") for name in (*known, "price")))
    assert history_fields(fields, SETTINGS) == known


@pytest.mark.parametrize(
    ("field", "nearest"),
    [
        (Field(name="colur"), "colour"),
        (Field(name="item_rate_28d", kind="numeric"), "item_rate_7d"),
        (Field(name="displai", role="context"), "display"),
        (Field(name="text_vectors", kind="vector", width=4), "text_vector"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(field: Field, nearest: str) -> None:
    one = schema(field)
    with pytest.raises(UsageError, match=nearest):
        _ = (
            item_columns(one, SETTINGS),
            context_columns(one, SETTINGS),
            history_fields(one, SETTINGS),
            vector_fields(one),
        )


def test_a_level_must_be_an_item_field() -> None:
    with pytest.raises(UsageError, match="brand"):
        level_column("brands", SETTINGS)


def test_vectors_are_the_texts_or_the_sources_own() -> None:
    both = schema(Field(name="text_vector", kind="vector", width=4), Field(name="item_vector", kind="vector", width=64))
    assert [field.name for field in vector_fields(both)] == ["text_vector", "item_vector"]
