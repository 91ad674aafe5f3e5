"""A small loop: a night of it takes well under a second."""

from __future__ import annotations

from typing import Any

from spark_jobs.loop.run import World
from spark_jobs.loop.settings import LoopSettings
from spark_jobs.recipe import Recipe, load_recipe

SETTINGS = LoopSettings(warmup_days=3, nights=3, memory_days=3)


def small_recipe(**world: Any) -> Recipe:
    """The shipped recipe with a small world and a model that is quickly trained."""
    values = load_recipe("loop").model_dump(mode="json")
    values["source"] |= {
        "users": 280, "products": 90, "brands": 6, "categories": 2, "requests_per_user_day": 0.5, "page": 6,
        "click_rate": 0.15, "lure_share": 0.06, **world,
    }  # fmt: skip
    for family in values["families"].values():
        if "min_users" in family:
            family["min_users"] = 5
    values["families"]["brand"] |= {"groups": 2, "topics": 3, "passes": 2, "min_brands": 1}
    values["features"]["snapshot_days"] = 2
    shelf = values["shelves"]["product"]
    shelf["model"] = {"kind": "logistic"}
    shelf["training"] |= {"epochs": 1, "min_steps": 1}
    shelf["explore"] |= {"top": 6, "share": 0.2}
    values["validation_days"] = 1
    return Recipe.of(values)


def small_world(*, seed: int = 3, settings: LoopSettings = SETTINGS, **world: Any) -> World:
    """One small world."""
    return World(small_recipe(**world), settings, seed=seed)
