"""Which column a field comes from: the names a recipe may use, resolved against the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segments.errors import UsageError
from spark_jobs.features.settings import FeatureSettings
from spark_jobs.fields import Field, FieldSchema

if TYPE_CHECKING:
    from pyspark.sql import Column

VECTORS = ("text_vector", "item_vector")


def item_columns(schema: FieldSchema, settings: FeatureSettings) -> dict[str, Column]:
    """Categorical and plain numeric item fields, as columns over the items table.

    Raises:
        UsageError: a field that nothing here can make.
    """
    found: dict[str, Column] = {}
    for field in schema.of_role("item"):
        if field.kind == "categorical":
            found[field.name] = item_path(_named(field, settings.item_fields)).cast("string")
        elif field.kind == "numeric" and field.name in settings.numeric_fields:
            found[field.name] = item_path(settings.numeric_fields[field.name]).cast("double")
    return found


def context_columns(schema: FieldSchema, settings: FeatureSettings) -> dict[str, Column]:
    """Context fields, as columns over the events table."""
    return {
        field.name: item_path(_named(field, settings.context_fields)).cast("string")
        for field in schema.of_role("context")
    }


def history_fields(schema: FieldSchema, settings: FeatureSettings) -> list[str]:
    """Numeric item fields made from history: `age_days`, or `<level>_<what>`.

    Raises:
        UsageError: a numeric field that nothing here can make.
    """
    names = [f.name for f in schema.of_role("item") if f.kind == "numeric" and f.name not in settings.numeric_fields]
    known = known_history(settings)
    for name in names:
        if name not in known:
            raise UsageError.unknown("numeric feature", name, [*known, *settings.numeric_fields], where="fields")
    return names


def known_history(settings: FeatureSettings) -> list[str]:
    """Every numeric history feature these settings can make."""
    return ["age_days", *(name for level in settings.levels for name in level_fields(level, settings))]


def level_fields(level: str, settings: FeatureSettings) -> list[str]:
    """The numeric history features of one level."""
    suffixes = ["", *(f"_{days}d" for days in settings.windows)]
    made = [f"{level}_{what}{suffix}" for what in ("rate", "impressions") for suffix in suffixes]
    return [*made, *(f"{level}_purchases{suffix}" for suffix in suffixes[1:]), f"{level}_purchases_a_day"]


def level_column(level: str, settings: FeatureSettings) -> Column:
    """The value of an item on a level of history, as a column over the items table.

    Raises:
        UsageError: the level is no item field.
    """
    if level not in settings.item_fields:
        raise UsageError.unknown("level", level, settings.item_fields, where="features.levels")
    return item_path(settings.item_fields[level]).cast("string")


def vector_fields(schema: FieldSchema) -> list[Field]:
    """Vector fields.

    Raises:
        UsageError: neither `text_vector` (of the item's texts) nor `item_vector` (the source's own).
    """
    for field in schema.of_kind("vector"):
        if field.name not in VECTORS:
            raise UsageError.unknown("vector feature", field.name, VECTORS, where="fields")
    return list(schema.of_kind("vector"))


def _named(field: Field, sources: Mapping[str, str]) -> str:
    if field.name not in sources:
        raise UsageError.unknown("feature", field.name, sources, where="fields")
    return sources[field.name]


def item_path(source: str) -> Column:
    """`column`, `category.N` (a level of the path), or `map.KEY`."""
    column, _, key = source.partition(".")
    if not key:
        return F.col(column)
    return F.get(F.col(column), F.lit(int(key))) if key.isdigit() else F.col(column).getItem(key)
