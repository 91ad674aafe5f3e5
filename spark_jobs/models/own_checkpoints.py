"""The checkpoints that serve what `ways` has chosen: a unit's own, the shared one with a small part of the unit's, or
the shared one as it is, each at the unit's level.

A list mixes items of several units and sorts them by probability, so every checkpoint's probabilities are moved until
they predict, on the last months of its unit's own examples, as many clicks as there were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from spark_jobs.fields import FieldSchema
from spark_jobs.models.calibration import recentred
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.correction import fit_correction
from spark_jobs.models.develop import develop
from spark_jobs.models.examples import Doubles, Examples, Tensors, joined
from spark_jobs.models.fading import DAY
from spark_jobs.models.mixture import mixed
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.models.watch import logits_of
from spark_jobs.models.ways import Unit


def own_checkpoints(
    units: Mapping[str, Unit],
    chosen: Mapping[str, str],
    schema: FieldSchema,
    *,
    models: Mapping[str, ModelSettings],
    training: TrainingSettings,
    valid_from: int,
    on_stage: Callable[[str], None] = lambda _: None,
) -> dict[str, Checkpoint]:
    """Unit → the checkpoint to score its items with.

    Trained, chosen and refitted as the step `train` does: a unit's own on its examples, a shared one on all; a small
    part is fitted on the unit's examples, over the logits of the shared one as it serves.

    Args:
        units: all, by name.
        chosen: unit → `model/way` of those that want a checkpoint.
        schema: the fields.
        models: by name.
        training: the loop's settings.
        valid_from: microseconds since 1970, where the days begin that choose the epoch.
        on_stage: told what begins.
    """
    own = {name: joined([unit.train, unit.valid]) for name, unit in units.items()}
    shared: dict[str, Checkpoint] = {}
    found = {}
    for name, told in chosen.items():
        model, _, way = told.partition("/")
        if way == "individual":
            on_stage(f"{model}, {name} alone, to serve")
            checkpoint = _developed(models[model], schema, own[name], training, valid_from)
        else:
            if model not in shared:
                on_stage(f"{model}, one for all, to serve")
                everything = joined(list(own.values()))
                shared[model] = _developed(models[model], schema, everything, training, valid_from)
            checkpoint = shared[model]
            if way == "mixture":
                logits = _logits(checkpoint, own[name])
                checkpoint = mixed(checkpoint, fit_correction(logits, own[name], checkpoint.encoder))
        found[name] = levelled(checkpoint, own[name], days=training.level_days)
    return found


def levelled(checkpoint: Checkpoint, examples: Examples, *, days: int) -> Checkpoint:
    """The same checkpoint, its probabilities at the level of the last `days` of these examples."""
    recent = examples.where(examples.time >= int(examples.time.max()) - days * DAY)
    moved = recentred(checkpoint.calibration, _logits(checkpoint, recent), recent.label, 1.0 / recent.rate)
    return replace(checkpoint, calibration=moved)


def _logits(checkpoint: Checkpoint, examples: Examples) -> Doubles:
    """As a published rank is made: context neutral."""
    return logits_of(checkpoint.model, Tensors(examples, checkpoint.encoder, neutral_context=True))


def _developed(
    model: ModelSettings, schema: FieldSchema, examples: Examples, training: TrainingSettings, valid_from: int
) -> Checkpoint:
    done = develop(model, schema, examples=examples, valid_from=valid_from, training=training)
    # It does not learn any more: what a later training would go on from is not kept.
    return replace(done.checkpoint, state={})
