"""Which model for which store: one for all, one each, or shared with a small part each; judged before the clock.

Trained on the days before the last `validation_days` before the clock, judged on those days, unit by unit (a store, a
department, any column of the `examples` table, or the whole shelf). Nothing at or after the clock is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds

from segments.errors import Refused, UsageError
from segments.hashing import hash64
from segments.whole import write_whole
from spark_jobs.models.checkpoint import save
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.own_checkpoints import own_checkpoints
from spark_jobs.models.run_folder import finite
from spark_jobs.models.settings import NetworkSettings
from spark_jobs.models.ways import WAYS, Unit, Way, choose_ways
from spark_jobs.promoted import EVERY, Promoted
from spark_jobs.units import ALL, SMALL, read_units

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial
    from spark_jobs.models.settings import ModelSettings

_AT = ("hit_ratio", "recall", "ndcg", "mrr")
METRICS = ("hit_ratio@20", "ndcg@20")


@dataclass(frozen=True)
class Serve:
    """Where choices are promoted.

    Attributes:
        registry: of the work folder.
        folder: for the units' checkpoints.
        own: `model/unified` of what the night trains itself; None where it is not among the models.
        variant: A/B variant, or `*`.
        at: when, for the history.
    """

    registry: Promoted
    folder: Path
    own: str | None = None
    variant: str = EVERY
    at: str = ""

    def check(
        self, shelf: str, by: str, models: Mapping[str, ModelSettings], ways: Sequence[Way], item_features: str
    ) -> None:
        """Refuses before anything is trained what could not serve afterwards."""
        for name, settings in models.items() if "mixture" in ways else ():
            if not isinstance(settings, NetworkSettings):
                raise UsageError(f"a mixture of {name} cannot serve: its shared model must be a network", where="way",
                                 hint="--way unified --way individual, or another model")  # fmt: skip
        if by == ALL:
            return
        known = ds.dataset(item_features.removeprefix("file:")).schema.names
        if by not in known:
            raise Refused(f"items have no {by}: a rank is made before anybody knows it", where="table item_features",
                          hint=f"units of items, such as {', '.join(known[3:6])}")  # fmt: skip
        column, _ = self.registry.units(shelf)
        if column not in ("", by):
            raise Refused(f"the units of {shelf} are told by {column}", where=by, hint="demote those first")


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
    serve: Serve | None = None,
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
        serve: lets the choices serve from the next step `score` on; each unit of the report then has `checkpoint`, a
            folder, or None where what the night trains goes on serving (it was chosen, or there is no proof, or the
            unit is a group of small ones).
        on_stage: told what begins.

    Raises:
        UsageError: a column, way or metric that does not exist, models of different tasks, or a way that cannot serve.
        Refused: no examples before the clock; units to serve that items do not tell.
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
    if serve is not None:
        serve.check(trial.shelf, by, models, ways, item_features)
    on_stage("reading the examples")
    units = read_units(
        trial, examples=examples, item_features=item_features, clock=clock, valid_from=valid_from,
        tasks=next(iter(learnt), ()), by=by, fewest=fewest,
    )  # fmt: skip
    choices = choose_ways(
        units, trial.schema, models=models, training=trial.training, ways=ways, metrics=metrics, on_stage=on_stage
    )
    if serve is not None:
        _serve(serve, trial, models, units, choices, by=by, valid_from=valid_from, on_stage=on_stage)
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


def _serve(
    serve: Serve, trial: Trial, models: dict[str, ModelSettings], units: dict[str, Unit],
    choices: dict[str, dict[str, Any]], *, by: str, valid_from: int, on_stage: Callable[[str], None],
) -> None:  # fmt: skip
    """Makes the checkpoints that are wanted, promotes them, and takes back what other choices had promoted."""
    wanted = {
        name: choice["chosen"]
        for name, choice in choices.items()
        if name != SMALL and "reason" not in choice and choice["chosen"] != serve.own
    }
    made = own_checkpoints(
        units, wanted, trial.schema, models=models, training=trial.training, valid_from=valid_from, on_stage=on_stage
    )
    registry, kept = serve.registry, set()
    for name, choice in choices.items():
        choice["checkpoint"] = None
        if name in made:
            unit = "" if by == ALL else f"{by}={name}"
            folder = serve.folder / f"{hash64(unit):016x}"
            checkpoint = made[name]
            save(replace(checkpoint, notes={**checkpoint.notes, "unit": unit}), folder)
            registry.promote(folder, surface=trial.shelf, variant=serve.variant, unit=unit, at=serve.at,
                             note=f"chosen: {choice['chosen']}")  # fmt: skip
            choice["checkpoint"] = str(folder)
            kept.add(unit)
    for old in list(registry.serving):
        told_by = old.unit.partition("=")[0] or ALL
        if (old.surface, old.variant, told_by) == (trial.shelf, serve.variant, by) and old.unit not in kept:
            while registry.demote(surface=old.surface, variant=old.variant, unit=old.unit, at=serve.at,
                                  note="no longer chosen"):  # fmt: skip
                pass
