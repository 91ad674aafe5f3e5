"""What the training loop drives: by default gradient steps (`training.py`); a model of another kind brings its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from spark_jobs.models.ranker import Ranker


class Learner(Protocol):
    """Improves a model pass by pass; choosing the pass, calibration and refit are the same for every kind."""

    steps: int

    @property
    def serving(self) -> Ranker:
        """The model as it would score now."""

    def epoch(self) -> dict[str, float]:
        """One pass; returns `train_loss`, `rows_per_second` and `seconds`."""
