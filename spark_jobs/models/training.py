"""Training: early stopping on gAUC and logloss, resumed where it was stopped, continued on later examples.

The loss is the logloss of the sampled rows with sampling undone: by default the known shift of the log odds is added to
the logit in the loss (`offset`), so that the network itself learns true odds; `weights` counts a row 1/rate times
instead (unbiased, but one unclicked row then outweighs a hundred clicks and the order learnt is worse).
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from segments.errors import Refused
from spark_jobs.models.course import Course
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Doubles, Examples, Tensors
from spark_jobs.models.feed import Source, batch_size
from spark_jobs.models.int8_rows import holds_bytes
from spark_jobs.models.loop import Loop, torch_threads, under
from spark_jobs.models.memory import InMemory
from spark_jobs.models.optimiser import table_names
from spark_jobs.models.partial import Partial
from spark_jobs.models.ranker import Ranker
from spark_jobs.models.registry import build
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.models.watch import Watch, logits_of

if TYPE_CHECKING:
    from spark_jobs.models.checkpoint import Checkpoint
    from spark_jobs.models.learner import Learner


@dataclass(frozen=True)
class Fitted:
    """A trained network with its encoder, the curve by epoch, and what the training cost.

    `state` is what a later training goes on from: `network.…`, the weights as they were when training stopped, where
    the served ones are others (averaged, or of an earlier epoch), and `optimiser.…`.
    """

    model: Ranker
    encoder: Encoder
    epochs: int
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    rows: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)


def fit(
    model: ModelSettings, encoder: Encoder, *, train: Examples | Source, valid: Examples | None,
    settings: TrainingSettings, folder: Path | None = None,
) -> Fitted:  # fmt: skip
    """Trains until validation gAUC and logloss both stop improving; keeps the epoch with the best gAUC.

    Where no validation visit has both labels, logloss alone decides. `encoder` is fitted on `train` here. With
    `settings.checkpoint_every` the unfinished training is kept in `folder`, and gone on with if it lies there.

    Raises:
        Refused: no examples, or only one label, or the unfinished training is another one.
    """
    return _run(model, encoder, train=train, valid=valid, settings=settings, epochs=settings.epochs, folder=folder)


def refit(
    model: ModelSettings, encoder: Encoder, *, train: Examples | Source, epochs: int, settings: TrainingSettings,
    folder: Path | None = None,
) -> Fitted:  # fmt: skip
    """Trains afresh on all examples for a chosen number of epochs."""
    return _run(model, encoder, train=train, valid=None, settings=settings, epochs=epochs, folder=folder)


def continue_training(
    checkpoint: Checkpoint,
    examples: Examples | Source,
    settings: TrainingSettings,
    *,
    learning_rate: float | None = None,
    valid: Examples | None = None,
) -> Fitted:
    """Goes on from a checkpoint on other examples, usually the last hours'; the checkpoint itself stays as it is.

    Optimiser state is kept where the checkpoint has it (`load(…, training=True)`) and the optimiser is the same one.
    The numbers' quantiles stay; values seen for the first time start at their field's out-of-vocabulary row, where they
    were read until now.

    Args:
        checkpoint: the model as it is served.
        examples: what is new.
        settings: the loop's, `epochs` and all.
        learning_rate: instead of the settings'; the table's own rate is scaled alike.
        valid: chooses the epoch, if given; otherwise the last is kept.

    Raises:
        Refused: no examples, or only one label, or the rows are bytes, for scoring alone.
    """
    if holds_bytes(checkpoint.model):
        raise Refused("a checkpoint whose rows are int8 is for scoring", hint="go on from the one it was made of")
    if learning_rate is not None:
        scale = learning_rate / settings.learning_rate
        rates = {"learning_rate": learning_rate, "table_rate": settings.table_rate * scale}
        settings = settings.model_copy(update=rates)
    return _run(
        checkpoint.settings, checkpoint.encoder.copy(), train=examples, valid=valid, settings=settings,
        epochs=settings.epochs, folder=None, past=checkpoint,
    )  # fmt: skip


def _run(
    kind: ModelSettings,
    encoder: Encoder,
    *,
    train: Examples | Source,
    valid: Examples | None,
    settings: TrainingSettings,
    epochs: int,
    folder: Path | None,
    past: Checkpoint | None = None,
) -> Fitted:
    source: Source = InMemory(train) if isinstance(train, Examples) else train
    if not source.facts.rows or source.facts.clicked in (0.0, 1.0):
        raise Refused("the training examples hold fewer than two labels", hint="train on more days")
    started = time.perf_counter()
    # A step of few rows is over sooner than threads can meet; on a busy machine waiting for them costs most.
    small = batch_size(source.facts.rows, settings) < 2048
    with torch_threads(settings.threads or (1 if small else 0)):
        if past is None:
            source.fit(encoder)
            network = build(kind, encoder, seed=settings.seed)
        else:
            network = _grown(past, encoder, source)
        watch = None if valid is None or not len(valid) else Watch(valid, encoder, settings)
        course = Course(_learner(network, encoder, source, settings, epochs=epochs, past=past), watch, settings)
        if folder is not None and settings.checkpoint_every:
            course.keep(Partial(folder, _identity(kind, encoder, source, watch, settings=settings, epochs=epochs)))
        network.load_state_dict(course.run(epochs))
        state = course.state()
        network.cpu().eval()
    spent = time.perf_counter() - started
    return Fitted(network, encoder, course.best, course.curve, spent, source.facts.rows, state)


def _grown(past: Checkpoint, encoder: Encoder, source: Source) -> Ranker:
    """The checkpoint's network as it was when its training stopped, values new since then at their field's row."""
    network = deepcopy(past.model)
    network.load_state_dict(network.state_dict() | under("network.", past.state))
    new = source.met(encoder) & ~encoder.seen
    rows = torch.from_numpy(np.flatnonzero(new))
    unseen = encoder.out_of_vocabulary
    stand_in = torch.from_numpy(unseen[np.searchsorted(unseen, rows.numpy(), side="right") - 1].astype(np.int64))
    with torch.no_grad():
        for name in table_names(network):
            table = network.get_parameter(name)
            table[rows] = table[stand_in]
    encoder.seen = encoder.seen | new
    return network


def _learner(
    network: Ranker, encoder: Encoder, source: Source, settings: TrainingSettings, *, epochs: int,
    past: Checkpoint | None,
) -> Learner:  # fmt: skip
    if isinstance(source, InMemory):
        own = network.learner(encoder, source.examples, settings)
        if own is not None:
            return own
    elif type(network).learner is not Ranker.learner:
        raise Refused("this model learns from examples in memory alone", where=type(network).__name__,
                      hint="a larger training.memory_rows, or a model that takes gradient steps")  # fmt: skip
    loop = Loop(network, encoder, source, settings, epochs=epochs, fresh=past is None)
    if past is not None:
        loop.optimiser.restore(under("optimiser.", past.state))
        if loop.average is not None:
            loop.average.module.load_state_dict(past.model.state_dict())
            loop.average.n_averaged.fill_(1)
    return loop


def _identity(
    kind: ModelSettings, encoder: Encoder, source: Source, watch: Watch | None, *, settings: TrainingSettings,
    epochs: int,
) -> dict[str, Any]:  # fmt: skip
    without = {"checkpoint_every", "calibration", "level_days"}
    return {
        "model": kind.model_dump(mode="json"),
        "training": settings.model_dump(mode="json", exclude=without),
        "schema": encoder.schema.model_dump(mode="json"),
        "epochs": epochs,
        "examples": source.digest() + ("" if watch is None else InMemory(watch.valid).digest()),
    }


def score_examples(fitted: Fitted, examples: Examples, *, neutral_context: bool = True) -> Doubles:
    """Logits (n,) of examples, context neutral unless told otherwise."""
    return logits_of(fitted.model, Tensors(examples, fitted.encoder, neutral_context=neutral_context))
