"""The one training loop: epochs of gradient steps over a feed, and everything that resuming it needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segments.errors import UsageError
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.feed import Feed, Mark, Source
from spark_jobs.models.optimiser import Optimiser
from spark_jobs.models.ranker import Batch, Ranker, Targets
from spark_jobs.models.schedule import Schedule
from spark_jobs.models.training_settings import TrainingSettings


class Loop:
    """One optimiser over one source of examples.

    Args:
        network: improved in place.
        encoder: fitted.
        source: what is learnt from.
        settings: how.
        epochs: how many there will be at most, for schedules that end.
        fresh: whether the network has never been trained: it then starts at the overall click rate.
    """

    def __init__(
        self, network: Ranker, encoder: Encoder, source: Source, settings: TrainingSettings, *, epochs: int,
        fresh: bool = True,
    ) -> None:  # fmt: skip
        self.settings, self.device = settings, device_of(settings)
        self.network = network.to(self.device)
        if fresh:
            facts = source.facts
            mean = facts.clicked if settings.correction == "none" else facts.click_rate
            network.start_at(float(np.log(mean / (1.0 - mean))))
        self.feed = Feed(source, encoder, settings, ahead=self.device.type == "cuda")
        self.optimiser = Optimiser(network, settings)
        steps_an_epoch = -(-source.facts.rows // self.feed.size)
        self.schedule = Schedule(settings, total_steps=epochs * steps_an_epoch)
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
        self._mark: Mark | None = None
        self._dropout: Tensor | None = None
        # Summed where it is made: reading it each step would make a GPU wait.
        self._loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self._rows = 0

    @property
    def serving(self) -> Ranker:
        """The network as it is, or the running mean of its weights (Polyak and Juditsky, 1992)."""
        if self.average is None:
            return self.network
        return cast(Ranker, self.average.module)

    def epoch(self, on_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        """One pass, or the rest of one; returns the mean training loss and rows a second."""
        started, before = time.perf_counter(), self._rows
        self.network.train()
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if self.device.type == "cuda" else []):
            # Dropout draws from torch's global generator.
            torch.manual_seed(self.settings.seed + self.steps)
            if self._mark is not None and self._dropout is not None:
                torch.set_rng_state(self._dropout)
            for batch, targets, mark in self.feed.epoch(self._mark):
                loss = self._step(batch, targets)
                self._loss += loss * len(targets.label)
                self._rows += len(targets.label)
                self._mark = mark
                on_step()
        figures = {"train_loss": self._loss.item() / max(self._rows, 1)}
        rows, seconds = self._rows - before, time.perf_counter() - started
        self._mark, self._rows = None, 0
        self._loss.zero_()
        return {**figures, "rows_per_second": rows / seconds, "seconds": seconds}

    def _step(self, batch: Batch, targets: Targets) -> Tensor:
        rate = self.schedule.at(self.steps)
        if self.device.type != "cpu":
            batch = Batch(*(tensor.to(self.device, non_blocking=True) for tensor in batch))
            label, *rest = (None if t is None else t.to(self.device, non_blocking=True) for t in targets)
            assert label is not None
            targets = Targets(label, *rest)
        loss = self.optimiser.step(batch, targets, rate=rate)
        self.steps += 1
        if self.average is not None:
            self.average.update_parameters(self.network)
        return loss

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights, optimiser state and the states of all generators."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        found |= {f"optimiser.{name}": value for name, value in self.optimiser.state().items()}
        if self.average is not None:
            found |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        if self._mark is not None:
            found |= {f"mark.{name}": getattr(self._mark, name) for name in ("at_epoch", "at_block", "now")}
            found |= {"random.dropout": torch.get_rng_state()}
        # In the middle of an epoch the feed may be ahead: the mark is where training is.
        feed = self.feed.random.get_state() if self._mark is None else self._mark.now.clone()
        return {**found, "random.feed": feed, "loss": self._loss}

    def counters(self) -> dict[str, Any]:
        """Everything else: steps, place in the epoch, rows of it, the schedule's factor."""
        place = None if self._mark is None else [self._mark.block, self._mark.done]
        return {"steps": self.steps, "place": place, "rows": self._rows, "factor": self.schedule.factor}

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Goes on from what `tensors` and `counters` gave."""
        self.network.load_state_dict(under("network.", tensors))
        self.optimiser.restore(under("optimiser.", tensors))
        if self.average is not None:
            self.average.load_state_dict(under("average.", tensors))
        self.feed.random.set_state(tensors["random.feed"])
        self._loss = tensors["loss"].to(self.device).clone()
        self.steps, self._rows = int(counters["steps"]), int(counters["rows"])
        self.schedule.factor = float(counters["factor"])
        if counters["place"] is not None:
            block, done = counters["place"]
            states = under("mark.", tensors)
            self._mark = Mark(block, done, states["at_epoch"], states["at_block"], states["now"])
            self._dropout = tensors["random.dropout"]


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def device_of(settings: TrainingSettings) -> torch.device:
    """The device that the settings name.

    Raises:
        UsageError: `cuda` without one.
    """
    present = torch.cuda.is_available()
    if settings.device == "cuda" and not present:
        raise UsageError("no CUDA device is to be seen", where="training.device", hint="device: auto, or cpu")
    return torch.device("cuda" if settings.device != "cpu" and present else "cpu")


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
