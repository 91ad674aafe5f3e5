"""Settings of the compressors: what a recipe's `compress:` block may say. Free of libraries: recipes read quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting

from segments.config import Settings

Pooling = Literal["mean", "max"]


class Seeded(Settings):
    """What every compressor has."""

    seed: int = 20170102


class MeanSettings(Seeded):
    """The mean of each block of neighbouring numbers."""

    kind: Literal["mean"] = "mean"


class MaxSettings(Seeded):
    """The largest of each block of neighbouring numbers."""

    kind: Literal["max"] = "max"


class PcaSettings(Seeded):
    """Principal components."""

    kind: Literal["pca"] = "pca"


class AutoencoderSettings(Seeded):
    """Principal components, and a hidden layer on each side for what a plane cannot say."""

    kind: Literal["autoencoder"] = "autoencoder"
    hidden: int = Setting(default=256, ge=1, description="width of the hidden layer of each half")
    epochs: int = Setting(default=60, ge=1, description="at most so many passes")
    patience: int = Setting(default=6, ge=1, description="passes without a gain on held-out vectors before it stops")
    batch_size: int = Setting(default=128, ge=1)
    learning_rate: float = Setting(default=1e-3, gt=0.0)


class UmapSettings(Seeded):
    """UMAP of a sample; other vectors take the codes of those they lie among. Needs the library umap-learn."""

    kind: Literal["umap"] = "umap"
    neighbours: int = Setting(default=15, ge=2, description="how many are near")
    sample: int = Setting(default=5000, ge=10, description="vectors it is learnt from, and kept")


CompressorSettings = Annotated[
    MeanSettings | MaxSettings | PcaSettings | AutoencoderSettings | UmapSettings, Setting(discriminator="kind")
]


class VectorSettings(Settings):
    """Where the field `item_vector` comes from: whose vectors, pooled how, compressed how."""

    path: str | None = Setting(
        default=None,
        description="Parquet of item_id and vector, any path Spark knows, instead of the source's own vectors; an item "
        "with several rows has several vectors",
    )
    each: int = Setting(
        default=0, ge=0, description="numbers in one vector, where items have several end to end; 0: they have one"
    )
    pool: Pooling = Setting(default="mean", description="what becomes of an item's several vectors")
    compress: CompressorSettings | None = Setting(
        default=None, description="learnt by each night, kept in its run folder; null: vectors have the field's width"
    )
    fitted: str | None = Setting(
        default=None, description="local file of a compressor that `vectors compress --keep` wrote; none is learnt then"
    )
    fit_items: int = Setting(default=20_000, ge=2, description="at most so many items are learnt from")
