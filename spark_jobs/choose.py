"""Which model for which store: one for all, one each, or shared with a small part each; judged before the clock.

Trained on the days before the last `validation_days` before the clock, judged on those days, unit by unit (a store, a
department, any column of the `examples` table, or the whole shelf). Nothing at or after the clock is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segments.errors import UsageError
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.run_folder import finite, write_whole
from spark_jobs.models.ways import WAYS, Way, choose_ways
from spark_jobs.units import ALL, read_units

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial
    from spark_jobs.models.settings import ModelSettings

_AT = ("hit_ratio", "recall", "ndcg", "mrr")
METRICS = ("hit_ratio@20", "ndcg@20")


def run(
    trial: Trial,
    models: dict[str, ModelSettings],
    *,
    examples: str,
    item_features: str,
    clock: int,
    valid_from: int,
    by: str = ALL,
    ways: Sequence[Way] = WAYS,
    metrics: Sequence[str] = METRICS,
    fewest: int = 1000,
    to: Path | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Chooses a model for each unit and writes the choice with its evidence.

    Args:
        trial: shelf, fields and training.
        models: by name, what to choose from.
        examples, item_features: folders of Parquet.
        clock: microseconds since 1970; later examples are not read.
        valid_from: where the days begin that judge.
        by: column of the examples that names the unit, or `all`.
        ways: unified, mixture, individual.
        metrics: `gauc` or `name@k`; a choice must hold in all of them.
        fewest: units of fewer examples are put together as `(small)`.
        to: JSON file.
        on_stage: told what begins.

    Raises:
        UsageError: a column, way or metric that does not exist, or models of different tasks.
        Refused: no examples before the clock.
    """
    for metric in metrics:
        name, at, cut = metric.partition("@")
        if metric != "gauc" and not (at and cut.isdigit() and int(cut) and name in _AT):
            raise UsageError.unknown("metric", metric, ["gauc", *(f"{known}@20" for known in _AT)])
    for way in ways:
        if way not in WAYS:
            raise UsageError.unknown("way", way, WAYS)
    learnt = {tasks_of(settings) for settings in models.values()} - {()}
    if len(learnt) > 1:
        raise UsageError("the models learn different tasks", where="model.tasks", hint="models of the same tasks")
    on_stage("reading the examples")
    units = read_units(
        trial, examples=examples, item_features=item_features, clock=clock, valid_from=valid_from,
        tasks=next(iter(learnt), ()), by=by, fewest=fewest,
    )  # fmt: skip
    choices = choose_ways(
        units, trial.schema, models=models, training=trial.training, ways=ways, metrics=metrics, on_stage=on_stage
    )
    counted: dict[str, int] = {}
    for choice in choices.values():
        counted[choice["chosen"]] = counted.get(choice["chosen"], 0) + 1
    report = {
        "shelf": trial.shelf,
        "by": by,
        "metrics": list(metrics),
        "ways": list(ways),
        "models": {name: settings.model_dump(mode="json") for name, settings in models.items()},
        "chosen": counted,
        "units": choices,
    }
    if to is not None:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_whole(to, json.dumps(finite(report), indent=1))
    return report
