"""The one training loop: Adam, early stopping on gAUC and logloss, then a refit on everything before the clock.

The loss is the logloss of the sampled rows with sampling undone: by default the known shift of the log odds is added to
the logit in the loss (`offset`), so that the network itself learns true odds; `weights` counts a row 1/rate times
instead (unbiased, but one unclicked row then outweighs a hundred clicks and the order learnt is worse).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segments.errors import Refused
from spark_jobs.evaluation.auc import auc, gauc
from spark_jobs.evaluation.calibration import logloss
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Doubles, Examples, Tensors
from spark_jobs.models.learner import Learner
from spark_jobs.models.ranker import Batch, Ranker, Targets
from spark_jobs.models.registry import build
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training_settings import TrainingSettings

__all__ = ["Fitted", "TrainingSettings", "fit", "refit", "score_examples"]

_log = logging.getLogger("es_ranking.models")


@dataclass(frozen=True)
class Fitted:
    """A trained network with its encoder, the curve by epoch, and what the training cost."""

    model: Ranker
    encoder: Encoder
    epochs: int
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    rows: int = 0


def fit(
    model: ModelSettings, encoder: Encoder, *, train: Examples, valid: Examples | None, settings: TrainingSettings
) -> Fitted:
    """Trains until validation gAUC and logloss both stop improving; keeps the epoch with the best gAUC.

    Where no validation visit has both labels, logloss alone decides. `encoder` is fitted on `train` here.

    Raises:
        Refused: no examples, or only one label.
    """
    return _run(model, encoder, train=train, valid=valid, settings=settings, epochs=settings.epochs)


def refit(
    model: ModelSettings, encoder: Encoder, *, train: Examples, epochs: int, settings: TrainingSettings
) -> Fitted:
    """Trains afresh on all examples for a chosen number of epochs."""
    return _run(model, encoder, train=train, valid=None, settings=settings, epochs=epochs)


def _run(
    kind: ModelSettings,
    encoder: Encoder,
    *,
    train: Examples,
    valid: Examples | None,
    settings: TrainingSettings,
    epochs: int,
) -> Fitted:
    if not len(train) or train.label.min() == train.label.max():
        raise Refused("the training examples hold fewer than two labels", hint="train on more days")
    started = time.perf_counter()
    # A step of few rows is over sooner than threads can meet; on a busy machine waiting for them costs most.
    small = batch_size(len(train), settings) < 2048
    with torch_threads(settings.threads or (1 if small else 0)):
        encoder.fit(train.rows, train.numbers)
        network = build(kind, encoder, seed=settings.seed)
        watch = None if valid is None or not len(valid) else _Watch(valid, encoder, settings)
        loop: Learner = network.learner(encoder, train, settings) or _Loop(network, encoder, train, settings)
        curve: list[dict[str, float]] = []
        best, best_state = 0, {k: v.clone() for k, v in network.state_dict().items()}
        for epoch in range(1, epochs + 1):
            point = {"epoch": float(epoch), **loop.epoch()}
            if watch is not None:
                point |= watch(loop.serving)
            curve.append(point)
            _log.info("epoch %d: %s", epoch, ", ".join(f"{k} {v:.5g}" for k, v in point.items() if k != "epoch"))
            if watch is None or watch.improved:
                best, best_state = epoch, {k: v.clone() for k, v in loop.serving.state_dict().items()}
            elif watch.stale >= settings.patience and loop.steps >= settings.min_steps:
                break
        network.load_state_dict(best_state)
        network.eval()
    return Fitted(network, encoder, best, curve, time.perf_counter() - started, len(train))


def batch_size(rows: int, settings: TrainingSettings) -> int:
    """Small data takes smaller steps: about a hundred steps an epoch, at least 32 rows a step."""
    return min(settings.batch_size, max(32, rows // 100))


class _Loop:
    """One optimiser over one set of examples."""

    def __init__(self, network: Ranker, encoder: Encoder, examples: Examples, settings: TrainingSettings) -> None:
        self.network, self.settings = network, settings
        self.data = Tensors(examples, encoder)
        self.label = torch.from_numpy(examples.label.astype(np.float32))
        mean = float(np.average(examples.label, weights=None if settings.correction == "none" else 1.0 / examples.rate))
        network.start_at(float(np.log(mean / (1.0 - mean))))
        self.offset = torch.from_numpy(examples.offset()) if settings.correction == "offset" else None
        # Scaled to mean 1, so that the learning rate means the same with and without weights.
        weight = (1.0 / examples.rate) * examples.rate.mean() if settings.correction == "weights" else None
        self.weight = None if weight is None else torch.from_numpy(weight.astype(np.float32))
        self.tasks = None if examples.tasks is None else torch.from_numpy(examples.tasks)
        self.random = torch.Generator().manual_seed(settings.seed)
        self.optimiser = torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimiser, settings.decay)
        self.masks = Masks(encoder, settings)
        self.steps = 0
        self.average = (
            AveragedModel(
                network,
                multi_avg_fn=get_ema_multi_avg_fn(settings.averaging),  # type: ignore[no-untyped-call]
                use_buffers=True,
            )
            if settings.averaging
            else None
        )

    @property
    def serving(self) -> Ranker:
        """The network as it is, or the running mean of its weights (Polyak and Juditsky, 1992)."""
        if self.average is None:
            return self.network
        return cast(Ranker, self.average.module)

    def epoch(self) -> dict[str, float]:
        """One pass; returns the mean training loss and rows a second."""
        started = time.perf_counter()
        self.network.train()
        order = torch.randperm(len(self.data), generator=self.random)
        total = torch.zeros((), dtype=torch.float64)
        with torch.random.fork_rng(devices=[]):  # dropout draws from torch's global generator
            torch.manual_seed(self.settings.seed + self.steps)
            for index in torch.split(order, batch_size(len(order), self.settings)):
                if len(index) == 1 and len(order) > 1:
                    continue  # batch normalisation needs two rows
                total += self._step(index) * len(index)
        self.schedule.step()
        seconds = time.perf_counter() - started
        return {"train_loss": total.item() / len(order), "rows_per_second": len(order) / seconds, "seconds": seconds}

    def _step(self, index: Tensor) -> Tensor:
        batch = self.masks(self.data.batch(index), self.random)
        given = (self.offset, self.weight, self.tasks)
        known = (None if t is None else t.index_select(0, index) for t in given)
        loss = self.network.objective(batch, Targets(self.label.index_select(0, index), *known))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimiser.step()
        self.steps += 1
        if self.average is not None:
            self.average.update_parameters(self.network)
        return loss.detach()


class Masks:
    """What training hides: ids (as never seen), segment fields (`any`) and context fields (neutral), each by chance."""

    def __init__(self, encoder: Encoder, settings: TrainingSettings) -> None:
        masked = np.zeros(len(encoder.categorical))
        self.together: list[tuple[Tensor, float]] = []
        for fields, chance in (
            (encoder.roles("segment"), settings.mask_segments),
            (encoder.roles("context"), settings.mask_context),
        ):
            # Half of it hides all fields of the role at once: that is how the segment `all`, and every published rank,
            # is scored. The rest hides each by itself, so that a field is hidden as often as asked.
            masked[fields] = 0.5 * chance / (1.0 - 0.5 * chance)
            self.together.append((torch.from_numpy(fields), 0.5 * chance))
        self.masked = torch.from_numpy(masked.astype(np.float32))
        self.dropped = settings.drop_ids
        self.neutral = torch.from_numpy(encoder.neutral)
        self.unseen = torch.from_numpy(encoder.out_of_vocabulary)
        numeric = [settings.mask_context if field.role == "context" else 0.0 for field in encoder.numeric]
        self.numeric = torch.tensor(numeric, dtype=torch.float32)

    def __call__(self, batch: Batch, random: torch.Generator) -> Batch:
        rows, numeric = batch.rows, batch.numeric
        if rows.shape[1] and (self.dropped or bool(self.masked.any())):
            draw = torch.rand(rows.shape, generator=random)
            rows = torch.where(draw < self.masked, self.neutral, rows)
            for fields, chance in self.together:
                whole = torch.rand((rows.shape[0], 1), generator=random) < chance
                rows = torch.where(whole & fields, self.neutral, rows)
            rows = torch.where(draw > 1.0 - self.dropped, self.unseen, rows)
        if bool(self.numeric.any()):
            numeric = numeric * (torch.rand(numeric.shape, generator=random) >= self.numeric)
        return Batch(rows, numeric, batch.vectors)


class _Watch:
    """Validation after each epoch, context neutral as a published rank must be."""

    def __init__(self, valid: Examples, encoder: Encoder, settings: TrainingSettings) -> None:
        if len(valid) > settings.validation_rows:
            # Whole visits, the same ones every time.
            share = settings.validation_rows / len(valid)
            visits = np.unique(valid.group)
            random = np.random.default_rng(settings.seed)
            valid = valid.where(np.isin(valid.group, visits[random.random(len(visits)) < share]))
        self.valid = valid
        self.data = Tensors(valid, encoder, neutral_context=True)
        self.best_gauc, self.best_loss = -np.inf, np.inf
        self.stale, self.improved = 0, False

    def __call__(self, network: Ranker) -> dict[str, float]:
        logits = logits_of(network, self.data)
        figures = quality(logits, self.valid)
        ranked = figures["gauc"] if np.isfinite(figures["gauc"]) else -figures["logloss"]
        self.improved = ranked > self.best_gauc
        self.stale = 0 if self.improved or figures["logloss"] < self.best_loss else self.stale + 1
        self.best_gauc = max(self.best_gauc, ranked)
        self.best_loss = min(self.best_loss, figures["logloss"])
        return figures


def quality(logits: Doubles, examples: Examples) -> dict[str, float]:
    """gAUC by visit, AUC and logloss (rows counted 1/rate times) of logits."""
    weight = 1.0 / examples.rate
    chance = 1.0 / (1.0 + np.exp(-logits))
    return {
        "gauc": gauc(examples.label, logits, examples.group),
        "auc": auc(examples.label, logits),
        "logloss": logloss(examples.label, chance, weight),
    }


def score_examples(fitted: Fitted, examples: Examples, *, neutral_context: bool = True) -> Doubles:
    """Logits (n,) of examples, context neutral unless told otherwise."""
    return logits_of(fitted.model, Tensors(examples, fitted.encoder, neutral_context=neutral_context))


def logits_of(network: Ranker, data: Tensors, *, block: int = 32_768) -> Doubles:
    """Logits (n,) in blocks, so that memory does not grow."""
    network.eval()
    found = np.empty(len(data), dtype=np.float64)
    with torch.inference_mode():
        for start in range(0, len(data), block):
            part = slice(start, min(start + block, len(data)))
            found[part] = network(data.batch(part)).double().numpy()
    return found


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Runs with so many torch threads (0: as they are), then puts the number back."""
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    # Adam's moments of rows that no longer occur decay into denormal numbers, which are many times slower.
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
