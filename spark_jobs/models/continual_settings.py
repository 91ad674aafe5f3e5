"""Settings of continual learning. Free of torch, so that recipes read quickly."""

from __future__ import annotations

from pydantic import Field as Setting
from pydantic import field_validator

from segments.config import Settings
from spark_jobs.models.activity import RULES


class ContinualSettings(Settings):
    """How a checkpoint goes on learning from the last hours, and what an update must hold to serve."""

    window_hours: float = Setting(default=3.0, gt=0.0, description="an update learns from the visits of so many hours")
    every_minutes: int = Setting(
        default=60, ge=1, description="an hourly run sooner after the last update publishes changes only"
    )
    learning_rate: float = Setting(default=1e-3, gt=0.0, description="times the rule's multiplier")
    rule: str = Setting(default="activity", description="multiplier of the learning rate from the events per hour")
    day_from: int = Setting(default=7, ge=0, le=23, description="hour of the day, UTC, at which `day_limit` begins")
    night_from: int = Setting(default=22, ge=0, le=23, description="hour at which `night_limit` begins")
    day_limit: float = Setting(default=5.0, ge=1.0, description="largest multiplier by day")
    night_limit: float = Setting(default=2.0, ge=1.0, description="largest multiplier at night")
    epochs: int = Setting(default=1, ge=1, description="passes over the window")
    held_out: float = Setting(
        default=0.2, gt=0.0, lt=1.0, description="share of visits, always the same ones, that no update learns from"
    )
    tolerance: float = Setting(
        default=0.0, ge=0.0, description="an update may raise the held-out logloss by this share of it"
    )
    min_clicks: int = Setting(default=10, ge=1, description="with fewer held-out clicks nothing can be judged: refused")

    @field_validator("rule")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in RULES:
            raise ValueError(f"unknown rule {name!r}; known: {', '.join(sorted(RULES))}")
        return name
