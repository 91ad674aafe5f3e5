"""A run's examples before the clock, by store or department, cut into days to learn from and days to judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segments.errors import Refused, UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, examples_of, read_table
from spark_jobs.models.item_table import read_items
from spark_jobs.models.ways import Unit

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial

ALL = "all"


def read_units(
    trial: Trial,
    *,
    examples: str,
    item_features: str,
    clock: int,
    valid_from: int,
    by: str = ALL,
    fewest: int = 1000,
) -> dict[str, Unit]:
    """Examples before the clock by unit, cut at `valid_from`; see `choose.run`."""
    schema = trial.schema
    known = by == ALL or by in {field.name for field in schema.fields}
    wide = schema if known else FieldSchema(fields=(*schema.fields, Field(name=by, role="context", buckets=8)))
    table = read_table(examples, Encoder(wide), item_kind=trial.shelf)
    if by != ALL and by not in table.column_names:
        raise UsageError.unknown("column", by, table.column_names, where="table examples")
    vectors = [field.name for field in schema.of_kind("vector")]
    items = read_items(item_features, vectors, item_kind=trial.shelf) if vectors else None

    def read(rows: Any) -> Examples:
        found = examples_of(rows, Encoder(schema), vectors=items)
        return found.where(found.time < clock)

    if by == ALL:
        parts = {ALL: read(table)}
    else:
        values = pc.fill_null(table.column(by).cast("string"), "(none)")
        totals = {row["values"]: row["counts"] for row in pc.value_counts(values).to_pylist()}
        big = sorted(name for name, count in totals.items() if count >= fewest)
        parts = {name: read(table.filter(pc.equal(values, name))) for name in big}
        if len(big) < len(totals):
            small = pc.invert(pc.is_in(values, value_set=pa.array(big, pa.string())))
            parts["(small)"] = read(table.filter(small))
    units = {
        name: Unit(found.where(found.time < valid_from), found.where(found.time >= valid_from))
        for name, found in parts.items()
    }
    if not sum(len(unit.train) for unit in units.values()):
        raise Refused("there are no examples to train on", where=examples, hint="the build_examples step")
    return units


def whole(units: dict[str, Unit]) -> tuple[Examples, Examples]:
    """The one unit of `by=all`: (train, valid).

    Raises:
        Refused: no click after `valid_from` to judge by.
    """
    unit = units[ALL]
    if not unit.valid.label.any() or not np.any(unit.valid.label == 0):
        raise Refused("no clicks in the last days before the clock to judge by", hint="a later clock")
    return unit.train, unit.valid
