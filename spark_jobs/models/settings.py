"""Settings of the networks: what a recipe's `model:` block may say. Free of torch, so that recipes read quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting

from segments.config import Settings
from spark_jobs.models.boosted_settings import BoostedSettings


class LogisticSettings(Settings):
    """Logistic regression: one weight a field value, the floor every other model must beat."""

    kind: Literal["logistic"] = "logistic"


class FMSettings(Settings):
    """A factorisation machine: linear terms and all pairwise products."""

    kind: Literal["fm"] = "fm"
    dim: int = Setting(default=16, ge=1, description="numbers in an embedding")


class DeepFMSettings(Settings):
    """DeepFM: linear terms, pairwise products, and a deep part over the same embeddings."""

    kind: Literal["deepfm"] = "deepfm"
    dim: int = Setting(default=16, ge=1, description="numbers in an embedding")
    hidden: tuple[int, ...] = Setting(default=(128, 64), min_length=1, description="widths of the deep part's layers")
    dropout: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of hidden numbers dropped in training")
    batch_norm: bool = Setting(default=False, description="batch normalisation before each activation of the deep part")


class TwoTowerSettings(Settings):
    """Two towers: one vector for the item, one for whoever looks; their dot product ranks."""

    kind: Literal["two_tower"] = "two_tower"
    dim: int = Setting(default=16, ge=1, description="numbers in an embedding of a field value")
    hidden: tuple[int, ...] = Setting(default=(64,), description="widths of the hidden layers of each tower")
    out: int = Setting(default=32, ge=1, description="numbers in a tower's vector")
    dropout: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of hidden numbers dropped in training")


ModelSettings = Annotated[
    DeepFMSettings | FMSettings | TwoTowerSettings | LogisticSettings | BoostedSettings, Setting(discriminator="kind")
]
