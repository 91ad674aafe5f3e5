"""A run's examples before the clock, by store or department, cut into days to learn from and days to judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from segments.errors import Refused, UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import examples_of, read_table
from spark_jobs.models.item_table import read_vectors
from spark_jobs.models.ways import Unit
from spark_jobs.promoted import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_jobs.experiment_settings import Trial

ALL = "all"
SMALL = "(small)"


def read_units(
    trial: Trial,
    *,
    examples: str,
    item_features: str,
    clock: int,
    valid_from: int,
    tasks: Sequence[str] = (),
    by: str = ALL,
    fewest: int = 1000,
) -> dict[str, Unit]:
    """Examples before the clock by unit, cut at `valid_from`; see `choose.run`. `tasks`: further ones to learn."""
    schema = trial.schema
    known = by == ALL or by in {field.name for field in schema.fields}
    wide = schema if known else FieldSchema(fields=(*schema.fields, Field(name=by, role="context", buckets=8)))
    table = read_table(examples, Encoder(wide), item_kind=trial.shelf, tasks=tasks)
    if by != ALL and by not in table.column_names:
        raise UsageError.unknown("column", by, table.column_names, where="table examples")
    vectors = read_vectors(item_features, schema, item_kind=trial.shelf)

    def unit(rows: pa.Table) -> Unit:
        return unit_of(rows, schema, vectors=vectors, clock=clock, valid_from=valid_from, tasks=tasks)

    if by == ALL:
        units = {ALL: unit(table)}
    else:
        values = pc.fill_null(table.column(by).cast("string"), NONE)
        totals = {row["values"]: row["counts"] for row in pc.value_counts(values).to_pylist()}
        big = sorted(name for name, count in totals.items() if count >= fewest)
        units = {name: unit(table.filter(pc.equal(values, name))) for name in big}
        if len(big) < len(totals):
            small = pc.invert(pc.is_in(values, value_set=pa.array(big, pa.string())))
            units[SMALL] = unit(table.filter(small))
    if not sum(len(unit.train) for unit in units.values()):
        raise Refused("there are no examples to train on", where=examples, hint="the build_examples step")
    return units


def unit_of(
    table: pa.Table, schema: FieldSchema, *, vectors: pa.Table | None, clock: int, valid_from: int,
    tasks: Sequence[str] = (),
) -> Unit:  # fmt: skip
    """The rows of `examples` before the clock, cut at `valid_from`."""
    found = examples_of(table, Encoder(schema), vectors=vectors, tasks=tasks)
    found = found.where(found.time < clock)
    return Unit(found.where(found.time < valid_from), found.where(found.time >= valid_from))
