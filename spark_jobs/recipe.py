"""The recipe of a night: every room's settings composed into one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from es_ranking.publish.settings import PublishSettings
from segments.config import Settings
from segments.families.registry import FamilySettings
from segments.teams import refuse_pair
from spark_jobs.bandits.registry import BANDITS, bandit
from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.features.settings import FeatureSettings
from spark_jobs.fields import FieldSchema
from spark_jobs.lures.settings import LureSettings
from spark_jobs.models.continual_settings import ContinualSettings
from spark_jobs.models.personal_settings import PersonalSettings
from spark_jobs.models.scoring_settings import ONE_PRODUCT, ScoringSettings
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.sources.registry import SourceSettings

RECIPES = Path(__file__).parent / "recipes"


class VariantRecipe(Settings):
    """What an A/B bucket serves: who scores, for which segments, and whether it explores."""

    scorer: Literal["model", "sales", "counts"] = Setting(
        description="model: calibrated pCTR; sales: purchase lines of the last weeks; counts: clicks over impressions"
    )
    families: tuple[str, ...] = Setting(default=("all",), description="chain: the first family that fits a user wins")
    bandit: str = Setting(default="none", description=f"who explores: {', '.join(BANDITS)}")

    @model_validator(mode="after")
    def _bandit_is_known(self) -> Self:
        bandit(self.bandit, ExploreSettings())
        return self

    @model_validator(mode="after")
    def _ends_in_all(self) -> Self:
        if not self.families or self.families[-1] != "all":
            raise ValueError("the last family of a variant must be `all`: it serves users nothing is known of")
        return self


class ShelfRecipe(Settings):
    """One kind of item, from its features to its index."""

    index: str = Setting(description="alias the queries use; generations stand behind it")
    fields: FieldSchema
    model: ModelSettings
    training: TrainingSettings = TrainingSettings()
    scoring: ScoringSettings = ScoringSettings()
    explore: ExploreSettings = ExploreSettings()
    lures: LureSettings = LureSettings()
    personal: PersonalSettings | None = Setting(
        default=None, description="item vectors for the personal re-sort; not given: none, and no time is spent on them"
    )

    @model_validator(mode="after")
    def _can_be_lighter(self) -> Self:
        kind, cascade = self.model.kind, self.scoring.cascade
        if self.scoring.rows == "int8" and kind in {"logistic", "xgboost"}:
            raise ValueError(f"scoring.rows: int8 shrinks embeddings, and {kind} has none")
        if cascade is None:
            return self
        if kind in ONE_PRODUCT:
            raise ValueError(f"scoring.cascade: the whole grid of {kind} is one matrix product already")
        names = [field.name for field in self.fields.of_kind("categorical") if field.role == "item"]
        if cascade.lists is not None and cascade.lists not in names:
            raise ValueError(f"scoring.cascade.lists: {cascade.lists!r} is none of the item fields {', '.join(names)}")
        return self


class Recipe(Settings):
    """All settings of a night."""

    name: str
    source: SourceSettings
    families: dict[str, FamilySettings]
    features: FeatureSettings = FeatureSettings()
    shelves: dict[str, ShelfRecipe] = Setting(description="by item kind: product, banner")
    variants: dict[str, VariantRecipe]
    default_variant: str = Setting(description="`recommended` points at this variant's segment `all`")
    publish: PublishSettings = PublishSettings()
    continual: ContinualSettings = ContinualSettings()
    validation_days: int = Setting(default=28, ge=1, description="days before the clock that choose the model")
    test_days: int = Setting(default=35, ge=1, description="days after the clock that `evaluate` reports on")

    @model_validator(mode="after")
    def _names_meet(self) -> Self:
        if not self.shelves or set(self.shelves) - {"product", "banner"}:
            raise ValueError("shelves are `product`, `banner`, or both")
        for name, variant in self.variants.items():
            refuse_pair(name)
            unknown = set(variant.families) - set(self.families) - {"all"}
            if unknown:
                raise ValueError(f"variant {name} names unknown families {sorted(unknown)}")
        for kind, shelf in self.shelves.items():
            if unknown := set(shelf.lures.families) - set(self.families):
                raise ValueError(f"shelf {kind}: lures names unknown families {sorted(unknown)}")
        if self.default_variant not in self.variants:
            raise ValueError(f"default_variant {self.default_variant} is not a variant")
        return self


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe that ships with the package, by name, or any YAML file, by path."""
    shipped = RECIPES / f"{name_or_path}.yaml"
    return Recipe.read(shipped if shipped.is_file() else Path(name_or_path))
