"""The one training loop."""

from __future__ import annotations

from spark_jobs.models.training_settings import TrainingSettings

__all__ = ["TrainingSettings"]
