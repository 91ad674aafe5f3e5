"""The course of a training: epoch after epoch until neither figure gets better, the best epoch's weights at hand."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from torch import Tensor

from spark_jobs.models.loop import Loop, under
from spark_jobs.models.partial import Partial
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.models.watch import Watch

if TYPE_CHECKING:
    from spark_jobs.models.learner import Learner

_log = logging.getLogger("es_ranking.models")


class Course:
    """Drives a loop; without a watch the last epoch is the best.

    Attributes:
        best: the epoch whose weights are served, 0 before the first.
        curve: figures by epoch.
    """

    def __init__(self, loop: Learner, watch: Watch | None, settings: TrainingSettings) -> None:
        self.loop, self.watch, self.settings = loop, watch, settings
        self.curve: list[dict[str, float]] = []
        self.best, self.ended = 0, False
        self._weights: dict[str, Tensor] = {}
        self._partial: Partial | None = None

    def keep(self, partial: Partial) -> None:
        """Saves there from now on, and goes on with what lies there."""
        self._partial = partial
        found = partial.load()
        if found is None or not isinstance(self.loop, Loop):
            return
        tensors, values = found
        self.loop.restore(tensors, values["loop"])
        self._weights = under("best.", tensors)
        self.best, self.curve, self.ended = int(values["best"]), list(values["curve"]), bool(values["ended"])
        if self.watch is not None:
            self.watch.restore(values["watch"])
        _log.info("going on after epoch %d, step %d", len(self.curve), self.loop.steps)

    def run(self, epochs: int) -> dict[str, Tensor]:
        """Trains; returns the weights to serve."""
        loop = self.loop
        while not self.ended:
            point = {"epoch": float(len(self.curve) + 1)}
            point |= loop.epoch(self._after_step) if isinstance(loop, Loop) else loop.epoch()
            if self.watch is not None:
                point |= self.watch(loop.serving)
            self.curve.append(point)
            spoken = ", ".join(f"{name} {value:.5g}" for name, value in point.items() if name != "epoch")
            _log.info("epoch %d: %s", len(self.curve), spoken)
            improved = self.watch is None or self.watch.improved
            stale = self.watch is not None and self.watch.stale >= self.settings.patience
            self.ended = len(self.curve) >= epochs or (stale and loop.steps >= self.settings.min_steps)
            if improved:
                self.best = len(self.curve)
                found = loop.serving.state_dict()
                # The last epoch's are not changed any more; beside a saved training they must not share memory.
                final = self.ended and self._partial is None
                self._weights = found if final else {name: value.clone() for name, value in found.items()}
            if isinstance(loop, Loop):
                loop.schedule.after_epoch(improved=improved)
            self._save()
        return self._weights

    def state(self) -> dict[str, Tensor]:
        """What a later training goes on from, beside the weights that `run` returned; see `Fitted.state`."""
        if not isinstance(self.loop, Loop):
            return {}
        found = {f"optimiser.{name}": value for name, value in self.loop.optimiser.state().items()}
        if self.loop.average is not None and self.best == len(self.curve):
            found |= {f"network.{name}": value for name, value in self.loop.network.state_dict().items()}
        return {name: value.detach().cpu().clone() for name, value in found.items()}

    def _after_step(self) -> None:
        every = self.settings.checkpoint_every
        if isinstance(every, int) and every and self.loop.steps % every == 0:
            self._save()

    def _save(self) -> None:
        if self._partial is None or not isinstance(self.loop, Loop):
            return
        values: dict[str, Any] = {
            "loop": self.loop.counters(),
            "best": self.best,
            "curve": self.curve,
            "ended": self.ended,
            "watch": None if self.watch is None else self.watch.state(),
        }
        best = {f"best.{name}": value for name, value in self._weights.items()}
        self._partial.save({**self.loop.tensors(), **best}, values)
