"""How the loop runs: how many nights, who is served, what tires people, and what an ablation takes away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field as Setting

from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.interval import Gap, IntervalSettings
from es_ranking.twiddlers.settings import PLAIN, Surface
from segments.config import Settings
from segments.errors import UsageError
from spark_jobs.bandits.registry import bandit
from spark_jobs.models.settings import TwoTowerSettings
from spark_jobs.recipe import Recipe, ShelfRecipe
from spark_jobs.sources.world_settings import WorldSettings

ORACLE = "oracle"
WHOLE = "whole"
SHELF = "product"
SURFACE = Surface(
    name="loop",
    twiddlers=(
        DownrankSettings(
            window_days=7, actions={"click": Degree(factor=0.5), "purchase": Degree(factor=0.5)}
        ),
        IntervalSettings(gaps=(Gap(attribute="brand_id", gap=3),)),
    ),
)  # fmt: skip


class LoopSettings(Settings):
    """Thirty nights, as `es-ranking loop run` has them without a file."""

    recipe: str = Setting(default="loop", description="a shipped recipe's name, or a YAML file; its source is a world")
    warmup_days: int = Setting(default=6, ge=1, description="days of the world's own shop before the first night")
    nights: int = Setting(default=30, ge=1)
    memory_days: int = Setting(default=60, ge=1, description="days of logs that a night's model is trained on")
    tired_days: int = Setting(default=7, ge=0, description="days in which a user is tired of what he has clicked")
    tired: float = Setting(default=0.3, ge=0, le=1, description="click multiplier of what he is tired of")
    salt: str = Setting(default="loop", description="of the buckets: one a variant, and one that the truth serves")
    surface: Surface = Setting(default=SURFACE, description="what moves at query time; no personal re-sort here")
    plain: tuple[str, ...] = Setting(default=("A",), description="variants served without twiddlers: the old logic")


def the_world(recipe: Recipe, settings: LoopSettings, *, seed: int) -> WorldSettings:
    """The recipe's world with this seed, long enough for the nights.

    Raises:
        UsageError: the source is no generated world, a variant bears the oracle's name, a surface names a twiddler that
            needs an engine or a taste store, or exploration counts evidence in a way that arrays here do not.
    """
    if not isinstance(recipe.source, WorldSettings):
        raise UsageError("only a generated world has a known truth", where="recipe: source", hint="--recipe loop")
    if ORACLE in recipe.variants:
        raise UsageError(f"{ORACLE!r} is the truth's own bucket", where="recipe: variants", hint="rename the variant")
    if set(recipe.shelves) != {SHELF}:
        raise UsageError("the loop has one shelf of products", where="recipe: shelves")
    for name in settings.plain:
        if name not in recipe.variants:
            raise UsageError.unknown("variant", name, recipe.variants, where="plain")
    known = {"downrank", "interval", "crowding"}
    for name in recipe.variants:
        for one in settings.surface.twiddlers_of(name):
            if one.kind not in known:
                raise UsageError.unknown("twiddler of the loop", one.kind, known, where="surface")
    shelf = recipe.shelves[SHELF]
    _check(recipe, shelf)
    days = settings.warmup_days + settings.nights + 1
    return recipe.source.model_copy(update={"seed": seed, "days": days, "banners": 0, "banner_slots": 0})


def _check(recipe: Recipe, shelf: ShelfRecipe) -> None:
    """What Spark alone can do is refused, not left out."""
    where = f"recipe: shelves.{SHELF}"
    if shelf.explore.half_life_days is not None or shelf.explore.click_delay_hours:
        raise UsageError("evidence that fades or comes late is counted by Spark alone", where=f"{where}.explore")
    if any(bandit(variant.bandit, shelf.explore).linear for variant in recipe.variants.values()):
        raise UsageError("linear bandits read item fields that Spark alone brings", where="recipe: variants")
    if shelf.lures.follow == "buying_again":
        raise UsageError("what is bought again is counted by Spark alone", where=f"{where}.lures")
    if shelf.scoring.cascade is not None or shelf.scoring.rows != "float32":
        raise UsageError("the loop scores with the whole model", where=f"{where}.scoring")
    if any(field.kind == "numeric" for field in shelf.fields.fields):
        raise UsageError("numeric fields are made by Spark alone", where=f"{where}.fields")


def ablations() -> dict[str, Mapping[str, Any]]:
    """By name: what is changed in the recipe (nested); empty where the settings change instead.

    B2 without brand segments is B, which every run has.
    """
    variants = ("M", "B0", "B", "B1", "B2")
    return {
        "no_exploration": {"variants": {name: {"bandit": "none"} for name in variants}},
        "no_lure_filter": {"shelves": {SHELF: {"lures": {"follow": "off"}}}},
        "no_twiddlers": {},
        "two_tower": {"shelves": {SHELF: {"model": TwoTowerSettings(dim=8, hidden=(32,), out=16).model_dump()}}},
    }


def changed(recipe: Recipe, settings: LoopSettings, *, name: str) -> tuple[Recipe, LoopSettings]:
    """Recipe and settings of an ablation; `whole` changes nothing.

    Raises:
        UsageError: no such ablation.
    """
    if name == WHOLE:
        return recipe, settings
    known = ablations()
    if name not in known:
        raise UsageError.unknown("ablation", name, known)
    if name == "no_twiddlers":
        return recipe, settings.model_copy(update={"surface": PLAIN})
    values = recipe.model_dump(mode="json")
    return Recipe.of(merged(values, known[name]), where=name), settings


def merged(values: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with some of them changed."""
    found = dict(values)
    for key, value in change.items():
        # A model of another kind takes the place of the whole block.
        nested = isinstance(value, Mapping) and key in found and "kind" not in value
        found[key] = merged(found[key], value) if nested else value
    return found
