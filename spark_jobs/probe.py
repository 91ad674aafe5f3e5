"""Two questions to a model on days it was not trained on: what are its fields worth, and how small can its table be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segments.errors import Refused
from spark_jobs.evaluation.seeds import mean_interval
from spark_jobs.fields import FieldSchema
from spark_jobs.models.encoding import Encoder, table_of
from spark_jobs.models.examples import read_table
from spark_jobs.models.importance import permutation_importance
from spark_jobs.models.item_table import read_vectors
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.training import fit, score_examples
from spark_jobs.models.watch import quality
from spark_jobs.units import ALL, read_units, unit_of

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial
    from spark_jobs.models.ways import Unit

FEWEST_BUCKETS = 8


def importance(
    trial: Trial, *, repeats: int = 5, on_stage: Callable[[str], None] = lambda _: None, **tables: Any
) -> list[dict[str, Any]]:
    """Permutation importance of each field, by a model trained before the last days and judged on them.

    Args:
        trial: model, fields, training; its first seed.
        repeats: shuffles of each field.
        on_stage: told what begins.
        tables: `examples`, `item_features`, `clock`, `valid_from`, as `units.read_units` takes them.
    """
    on_stage("reading the examples")
    unit = _judging(read_units(trial, **tables, tasks=tasks_of(trial.model))[ALL])
    on_stage(f"training {trial.model.kind}")
    training = trial.training.model_copy(update={"seed": trial.seeds[0]})
    fitted = fit(trial.model, Encoder(trial.schema), train=unit.train, valid=unit.valid, settings=training)
    on_stage(f"shuffling {len(trial.schema.fields)} fields")
    return permutation_importance(fitted, unit.valid, repeats=repeats, seed=trial.seeds[0])


def shrunken(schema: FieldSchema, share: float) -> FieldSchema:
    """The schema with a share of each categorical field's buckets, at least 8."""
    return FieldSchema(
        fields=tuple(
            field.model_copy(update={"buckets": max(FEWEST_BUCKETS, round(field.buckets * share))})
            if field.kind == "categorical"
            else field
            for field in schema.fields
        )
    )


def collisions(
    trial: Trial, *, shares: Sequence[float], examples: str, item_features: str, clock: int, valid_from: int,
    on_stage: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """gAUC against parameters as the hash ranges shrink; one row a share, mean over the trial's seeds.

    Args:
        trial: model, fields, training, seeds.
        shares: of each categorical field's buckets, such as 1, 0.5, 0.1.
        examples, item_features, clock, valid_from: as of `importance`.
        on_stage: told what begins.

    Returns:
        `share`, `buckets`, `values` (distinct ones in the table), `collided` (share of them that do not have a row to
        themselves), `parameters`, `gauc`, `low`, `high` (t interval over seeds), `auc`, `logloss`.
    """
    on_stage("reading the examples")
    tasks = tasks_of(trial.model)
    table = read_table(examples, Encoder(trial.schema), item_kind=trial.shelf, tasks=tasks)
    vectors = read_vectors(item_features, trial.schema, item_kind=trial.shelf)
    distinct = {
        field.name: pc.unique(table.column(field.name).cast("string").drop_null())
        for field in trial.schema.of_kind("categorical")
        if field.name in table.column_names
    }
    values = sum(map(len, distinct.values()))
    found = []
    for share in shares:
        schema = shrunken(trial.schema, share)
        unit = _judging(unit_of(table, schema, vectors=vectors, clock=clock, valid_from=valid_from, tasks=tasks))
        figures = []
        for seed in trial.seeds:
            on_stage(f"share {share:g}: training {trial.model.kind}, seed {seed}")
            training = trial.training.model_copy(update={"seed": seed})
            fitted = fit(trial.model, Encoder(schema), train=unit.train, valid=unit.valid, settings=training)
            figures.append(quality(score_examples(fitted, unit.valid), unit.valid))
        ranked = mean_interval([figure["gauc"] for figure in figures])
        found.append(
            {
                "share": share,
                "buckets": sum(field.buckets for field in schema.of_kind("categorical")),
                "values": values,
                "collided": 1.0 - _alone(schema, distinct) / max(values, 1),
                "parameters": fitted.model.size,
                "gauc": ranked.value,
                "low": ranked.low,
                "high": ranked.high,
                "auc": float(np.mean([figure["auc"] for figure in figures])),
                "logloss": float(np.mean([figure["logloss"] for figure in figures])),
            }
        )
    return found


def _judging(unit: Unit) -> Unit:
    """The unit itself, if its last days can tell one order from another."""
    if not unit.valid.label.any() or unit.valid.label.all():
        raise Refused("no clicks in the last days before the clock to judge by", hint="a later clock")
    return unit


def _alone(schema: FieldSchema, distinct: Mapping[str, pa.Array]) -> int:
    """How many of the values have an embedding row to themselves."""
    encoder = Encoder(schema)
    alone = 0
    for place, field in enumerate(encoder.categorical):
        if field.name in distinct:
            rows = encoder.rows_of(table_of({field.name: distinct[field.name]}))[:, place]
            alone += int((np.unique(rows, return_counts=True)[1] == 1).sum())
    return alone
