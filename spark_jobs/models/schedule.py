"""Learning rates over time, as a factor of the settings' rates.

exponential: times `decay` after each epoch (1: constant). plateau: times 0.1 after each epoch without a better order
(FuxiCTR's rule). cosine: half a cosine from 1 to the floor over all epochs (Loshchilov and Hutter, ICLR 2017). All of
them can warm up in a straight line.
"""

from __future__ import annotations

import math

from spark_jobs.models.training_settings import TrainingSettings

PLATEAU = 0.1


class Schedule:
    """The factor of the next step."""

    def __init__(self, settings: TrainingSettings, *, total_steps: int) -> None:
        self.settings, self.total = settings, max(total_steps, 1)
        self.factor = 1.0  # of exponential and plateau

    def at(self, step: int) -> float:
        """Factor of step 0, 1, …"""
        settings = self.settings
        floor = min(settings.least_rate / settings.learning_rate, 1.0)
        factor = self.factor
        if settings.schedule == "cosine":
            along = min(max(step - settings.warmup_steps, 0) / max(self.total - settings.warmup_steps, 1), 1.0)
            factor = floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * along))
        if step < settings.warmup_steps:
            factor *= (step + 1) / settings.warmup_steps
        return factor

    def after_epoch(self, *, improved: bool) -> None:
        """Told once an epoch."""
        settings = self.settings
        if settings.schedule == "exponential":
            self.factor *= settings.decay
        elif settings.schedule == "plateau" and not improved:
            floor = min(settings.least_rate / settings.learning_rate, 1.0)
            self.factor = max(self.factor * PLATEAU, floor)
