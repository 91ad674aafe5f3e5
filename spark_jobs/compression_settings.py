"""What is compared when compressors of content vectors are, and the generated world they are compared in."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Self

from pydantic import Field as Setting

from segments.config import Settings
from segments.errors import UsageError
from spark_jobs.recipe import Recipe
from spark_jobs.sources.world_settings import WorldSettings
from spark_jobs.vectors.registry import COMPRESSORS, compressor_settings
from spark_jobs.vectors.settings import CompressorSettings


class CompressionSettings(Settings):
    """Compressors and widths, the model that reads the codes, and how big the world is where it is a generated one."""

    compressors: tuple[CompressorSettings, ...] = Setting(default=(), description="none: all, with their own settings")
    widths: tuple[int, ...] = Setting(default=(16, 64), min_length=1, description="numbers in a code")
    held_out: float = Setting(default=0.2, gt=0.0, lt=1.0, description="share of the vectors no compressor learns from")
    epochs: int = Setting(default=3, ge=1, description="passes of each training")
    rows: int = Setting(default=600_000, ge=1, description="a run's examples: at most so many, whole visits")
    world_days: int = Setting(default=12, ge=2, description="generated days; the last fourth judges")
    world_users: int = Setting(default=1000, ge=1)
    world_products: int = Setting(default=2000, ge=1)
    world_requests: float = Setting(default=1.5, gt=0, le=20, description="of a user a day")
    world_width: int = Setting(default=1024, ge=2, description="numbers in a generated vector")

    def chosen(self, kinds: Sequence[str], widths: Sequence[int]) -> Self:
        """With these kinds and widths, where any are named; else the file's, else all kinds whose library is there.

        A kind that the file configures keeps its settings.
        """
        mine: dict[str, CompressorSettings] = {settings.kind: settings for settings in self.compressors}
        everybody = [kind for kind in COMPRESSORS if kind != "umap" or find_spec("umap")]
        wanted = [mine.get(kind) or compressor_settings({"kind": kind}) for kind in kinds or mine or everybody]
        return self.model_copy(update={"compressors": tuple(wanted), "widths": tuple(widths) or self.widths})

    def world(self, recipe: Recipe, *, seed: int) -> WorldSettings:
        """The recipe's world in this size: no banners, and no lures, since a click is what is compared.

        Raises:
            UsageError: the recipe's source is another one.
        """
        if not isinstance(recipe.source, WorldSettings):
            raise UsageError(
                "the examples of this source stand in a run's tables", hint="name the run: --run-date D", where="source"
            )
        return recipe.source.model_copy(
            update={
                "seed": seed, "days": self.world_days, "users": self.world_users, "products": self.world_products,
                "banners": 0, "banner_slots": 0, "lure_share": 0.0, "requests_per_user_day": self.world_requests,
                "vector_width": self.world_width,
            }
        )  # fmt: skip
