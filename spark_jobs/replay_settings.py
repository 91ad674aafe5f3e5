"""How the days of a drifting generated world are replayed."""

from __future__ import annotations

from pydantic import Field as Setting

from segments.config import Settings
from segments.errors import UsageError
from spark_jobs.models.continual_settings import ContinualSettings
from spark_jobs.recipe import Recipe
from spark_jobs.sources.world_settings import WorldSettings


class ReplaySettings(Settings):
    """A small busy world whose tastes move, and who is compared in it."""

    drift_days: int = Setting(default=3, ge=1, description="tastes move on to the next brand so often")
    warmup_days: int = Setting(default=4, ge=1, description="days the first model is trained on")
    days: int = Setting(default=6, ge=1, description="days replayed after them")
    users: int = Setting(default=800, ge=1)
    products: int = Setting(default=400, ge=1)
    brands: int = Setting(default=12, ge=2)
    requests_per_user_day: float = Setting(default=1.5, gt=0, le=20)
    click_rate: float = Setting(default=0.2, gt=0, lt=0.5)
    retrain_epochs: int = Setting(default=2, ge=1, description="passes of every training from nothing")
    recent_days: int = Setting(default=3, ge=1, description="days that `nightly_recent` is trained on")
    top: int = Setting(default=12, ge=1, description="first places whose true click rate is compared")
    daily: ContinualSettings = ContinualSettings(window_hours=24.0, epochs=2)
    hourly: ContinualSettings = ContinualSettings()

    def world(self, recipe: Recipe, *, seed: int) -> WorldSettings:
        """The recipe's world with this size, this drift and this seed, without lures (a click is what is compared).

        Raises:
            UsageError: the recipe's source is another one.
        """
        if not isinstance(recipe.source, WorldSettings):
            raise UsageError(
                "only a generated world has a known truth to compare with", where="source", hint="--source world"
            )
        return recipe.source.model_copy(
            update={
                "seed": seed, "days": self.warmup_days + self.days + 1, "users": self.users, "products": self.products,
                "banners": 0, "banner_slots": 0, "brands": self.brands, "drift_days": self.drift_days,
                "requests_per_user_day": self.requests_per_user_day, "click_rate": self.click_rate, "lure_share": 0.0,
            }
        )  # fmt: skip
