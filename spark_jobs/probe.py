"""Two questions to a model on days it was not trained on: what are its fields worth, and how small can its table be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from spark_jobs.evaluation.seeds import mean_interval
from spark_jobs.fields import FieldSchema
from spark_jobs.models.encoding import Encoder, table_of
from spark_jobs.models.examples import read_table
from spark_jobs.models.importance import permutation_importance
from spark_jobs.models.training import fit, quality, score_examples
from spark_jobs.units import read_units, whole

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial

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
    train, valid = whole(read_units(trial, **tables))
    on_stage(f"training {trial.model.kind}")
    training = trial.training.model_copy(update={"seed": trial.seeds[0]})
    fitted = fit(trial.model, Encoder(trial.schema), train=train, valid=valid, settings=training)
    on_stage(f"shuffling {len(trial.schema.fields)} fields")
    return permutation_importance(fitted, valid, repeats=repeats, seed=trial.seeds[0])


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
    trial: Trial, *, shares: Sequence[float], on_stage: Callable[[str], None] = lambda _: None, **tables: Any
) -> list[dict[str, Any]]:
    """gAUC against parameters as the hash ranges shrink; one row a share, mean over the trial's seeds.

    Args:
        trial: model, fields, training, seeds.
        shares: of each categorical field's buckets, such as 1, 0.5, 0.1.
        on_stage: told what begins.
        tables: as of `importance`.

    Returns:
        `share`, `buckets`, `values` (distinct ones seen in training), `collided` (share of them that do not have a row
        to themselves), `parameters`, `gauc`, `low`, `high` (t interval over seeds), `auc`, `logloss`.
    """
    found = []
    for share in shares:
        small = replace(trial, schema=shrunken(trial.schema, share))
        on_stage(f"share {share:g}: reading the examples")
        train, valid = whole(read_units(small, **tables))
        values, alone = _crowded(small, tables["examples"])
        figures = []
        for seed in trial.seeds:
            on_stage(f"share {share:g}: training {trial.model.kind}, seed {seed}")
            training = trial.training.model_copy(update={"seed": seed})
            fitted = fit(trial.model, Encoder(small.schema), train=train, valid=valid, settings=training)
            figures.append(quality(score_examples(fitted, valid), valid))
        ranked = mean_interval([figure["gauc"] for figure in figures])
        found.append(
            {
                "share": share,
                "buckets": sum(field.buckets for field in small.schema.of_kind("categorical")),
                "values": values,
                "collided": 1.0 - alone / max(values, 1),
                "parameters": fitted.model.size,
                "gauc": ranked.value,
                "low": ranked.low,
                "high": ranked.high,
                "auc": float(np.mean([figure["auc"] for figure in figures])),
                "logloss": float(np.mean([figure["logloss"] for figure in figures])),
            }
        )
    return found


def _crowded(trial: Trial, folder: str) -> tuple[int, int]:
    """(distinct values of all categorical fields, those that have a row to themselves)."""
    encoder = Encoder(trial.schema)
    table = read_table(folder, encoder, item_kind=trial.shelf)
    values = alone = 0
    for place, field in enumerate(encoder.categorical):
        if field.name in table.column_names:
            distinct = pc.unique(table.column(field.name).cast("string").drop_null())
            rows = encoder.rows_of(table_of({field.name: distinct}))[:, place]
            values += len(distinct)
            alone += int((np.unique(rows, return_counts=True)[1] == 1).sum())
    return values, alone


def picture(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """gAUC and the share of collided values against parameters, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ordered = sorted(rows, key=lambda row: row["parameters"])
    parameters = [row["parameters"] for row in ordered]
    middle = [row["gauc"] for row in ordered]
    reach = np.nan_to_num([[row["gauc"] - row["low"], row["high"] - row["gauc"]] for row in ordered]).T
    axes.errorbar(parameters, middle, yerr=reach, marker="o", capsize=3, label="gAUC")
    axes.set_xscale("log")
    axes.set_xlabel("parameters")
    axes.set_ylabel("gAUC")
    axes.grid(visible=True, alpha=0.3)
    beside = axes.twinx()
    beside.plot(parameters, [row["collided"] for row in ordered], marker="x", linestyle="--", color="tab:red")
    beside.set_ylabel("share of values without a row to themselves", color="tab:red")
    beside.set_ylim(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
