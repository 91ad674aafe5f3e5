"""From examples to a checkpoint: train on the earlier weeks, choose and calibrate on the later, refit on all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segments.errors import Refused
from spark_jobs.evaluation.calibration import ece, logloss, mean_ratio
from spark_jobs.evaluation.segment_calibration import by_segment
from spark_jobs.fields import FieldSchema
from spark_jobs.models.calibration import Calibration, calibrate, honest_chances, recentred
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Doubles, Examples
from spark_jobs.models.fading import DAY, Fading
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.stream import Stream
from spark_jobs.models.training import fit, refit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.models.watch import quality

FEWEST_ROWS = 32


@dataclass(frozen=True)
class Developed:
    """What a training leaves: the checkpoint to score with, figures, and the curve by epoch.

    `segments`: by segment field and value, mean predicted over observed on the weeks that choose, see
    `evaluation.segment_calibration`.
    """

    checkpoint: Checkpoint
    metrics: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    segments: dict[str, dict[str, dict[str, float | bool]]] = field(default_factory=dict)


def develop(
    model: ModelSettings, schema: FieldSchema, *, examples: Examples | Stream, valid_from: int,
    training: TrainingSettings, unfinished: Path | None = None,
    values: Mapping[str, Mapping[int, str]] | None = None,
) -> Developed:  # fmt: skip
    """Trains on examples before `valid_from`, chooses the epoch and calibrates on those after, refits on all.

    A shelf whose earlier or later part is too small to learn or to choose from (fewer than 32 rows, or one label only)
    is trained on everything for the settings' number of epochs, uncalibrated beyond the correction for sampling.

    Args:
        model: the network.
        schema: its fields.
        examples: all examples before the run's clock, in memory or streamed; of a stream, about
            `training.validation_rows` rows of whole visits choose and calibrate.
        valid_from: microseconds since 1970, where validation begins.
        training: the loop's settings.
        unfinished: where `checkpoint_every` keeps what a killed run goes on from; the caller removes it when it has
            saved the result.
        values: what embedding rows are called in `segments` (`Encoder.values` of the encoder that read the examples).

    Raises:
        Refused: no examples, or all have the same label.
    """
    started = time.perf_counter()
    if not len(examples):
        raise Refused("there are no examples to train on", hint="an earlier day of events, or the build_examples step")
    if training.half_life_days is not None:
        examples = _faded(examples, Fading(training.half_life_days, _latest(examples)))
    train, valid = _until(examples, valid_from), _since(examples, valid_from, training)
    metrics: dict[str, float] = {"examples": float(len(examples)), "clicks": _clicks(examples)}
    calibration, curve, epochs = Calibration(), [], training.epochs
    segments: dict[str, dict[str, dict[str, float | bool]]] = {}
    if _usable(train) and _usable(valid):
        chosen = fit(model, Encoder(schema), train=train, valid=valid, settings=training,
                     folder=unfinished and unfinished / "choose")  # fmt: skip
        logits = score_examples(chosen, valid)
        weight = 1.0 / valid.rate
        calibration = calibrate(logits, valid.label, weight, method=training.calibration)
        figures = quality(logits, valid)
        chances = honest_chances(logits, valid.label, weight, valid.user, method=training.calibration)
        metrics |= {
            "valid_examples": float(len(valid)),
            "gauc": figures["gauc"],
            "auc": figures["auc"],
            "ece": ece(valid.label, chances, weight),
            "mean_ratio": mean_ratio(valid.label, chances, weight),
            "logloss": logloss(valid.label, chances, weight),
        }
        segments = _by_segment(chosen.encoder, valid, chances, values or {})
        metrics["segments_off"] = float(sum(bool(v["fails"]) for field in segments.values() for v in field.values()))
        curve, epochs = chosen.curve, chosen.epochs
        metrics["rows_per_second"] = float(np.median([point["rows_per_second"] for point in curve]))
    final = refit(model, Encoder(schema), train=examples, epochs=epochs, settings=training,
                  folder=unfinished and unfinished / "refit")  # fmt: skip
    if _usable(valid):
        # Slope and shape were learnt on days the network had not seen; the level is the refitted network's own, over
        # more than one season: the last weeks' alone is that season's.
        recent = _since(examples, _latest(examples) - training.level_days * DAY, training)
        calibration = recentred(calibration, score_examples(final, recent), recent.label, 1.0 / recent.rate)
    size = float(final.model.size)
    metrics |= {"epochs": float(epochs), "parameters": size, "seconds": time.perf_counter() - started}
    notes = {"metrics": dict(metrics)}
    checkpoint = Checkpoint(model, final.encoder, final.model, calibration, notes=notes, state=final.state)
    return Developed(checkpoint, metrics, curve or final.curve, segments)


def _by_segment(
    encoder: Encoder, valid: Examples, chances: Doubles, values: Mapping[str, Mapping[int, str]]
) -> dict[str, dict[str, dict[str, float | bool]]]:
    found = {}
    for column in np.flatnonzero(encoder.roles("segment")).tolist():
        name = encoder.categorical[column].name
        heard = by_segment(valid.label, chances, 1.0 / valid.rate, person=valid.user, segment=valid.rows[:, column],
                           names=values.get(name, {}))  # fmt: skip
        found[name] = {value: each.to_dict() for value, each in heard.items()}
    return found


def _usable(examples: Examples | Stream) -> bool:
    return len(examples) >= FEWEST_ROWS and 0.0 < _clicks(examples) < len(examples)


def _clicks(examples: Examples | Stream) -> float:
    if isinstance(examples, Stream):
        return round(examples.facts.clicked * len(examples))
    return float(examples.label.sum())


def _latest(examples: Examples | Stream) -> int:
    return examples.latest if isinstance(examples, Stream) else int(examples.time.max())


def _faded(examples: Examples | Stream, fading: Fading) -> Examples | Stream:
    return replace(examples, fading=fading) if isinstance(examples, Stream) else fading.of(examples)


def _until(examples: Examples | Stream, high: int) -> Examples | Stream:
    if isinstance(examples, Stream):
        return examples.between(examples.low, high)
    return examples.where(examples.time < high)


def _since(examples: Examples | Stream, low: int, training: TrainingSettings) -> Examples:
    if isinstance(examples, Stream):
        return examples.between(low).sample(training.validation_rows)
    return examples.where(examples.time >= low)
