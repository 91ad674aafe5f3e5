"""Settings of the features: where each field's value comes from, and how far history looks back."""

from __future__ import annotations

from pydantic import Field

from segments.config import Settings
from spark_jobs.vectors.settings import VectorSettings


class TextVectorSettings(Settings):
    """TF-IDF and truncated SVD of an item's texts."""

    width: int = Field(default=64, ge=2, description="numbers in a vector")
    vocabulary: int = Field(default=20_000, ge=2, description="words kept, by how often they occur")
    fit_items: int = Field(default=200_000, ge=2, description="the SVD is fitted on at most this many items")
    seed: int = 20170102


class FeatureSettings(Settings):
    """What becomes a field of `examples` and `item_features`."""

    item_fields: dict[str, str] = Field(
        default={
            "item": "item_id",
            "manufacturer": "brand_id",
            "department": "category.0",
            "category": "category.1",
            "type": "category.2",
            "store": "store_id",
        },
        description="categorical item field → column of items, `category.N` (level of the path) or `attributes.KEY`",
    )
    context_fields: dict[str, str] = Field(
        default={"position": "position", "surface": "surface"},
        description="categorical context field → column of events, or `context.KEY`",
    )
    numeric_fields: dict[str, str] = Field(
        default={"price": "price"}, description="numeric item field → column of items or `attributes.KEY`"
    )
    levels: tuple[str, ...] = Field(
        default=("item",),
        description="item fields whose past rates become fields (`item_rate`, `item_rate_28d`), the widest first: each "
        "is drawn to the one before it",
    )
    personal_levels: tuple[str, ...] = Field(
        default=("item",), description="item fields whose past purchases by the same user become `own_…` fields"
    )
    windows: tuple[int, ...] = Field(default=(7, 28), description="days that recent counts look back")
    prior_impressions: float = Field(
        default=500.0, gt=0, description="impressions at the rate of the level above added before a rate is taken"
    )
    refresh_days: int = Field(
        default=1, ge=1, description="examples see item history up to so many days old, as ranks do between two nights"
    )
    warmup_days: int = Field(default=0, ge=0, description="first days of the events that give history but no examples")
    snapshot_days: int = Field(default=28, ge=1, description="days between the snapshots of user segments")
    long_dwell_seconds: float = Field(default=10.0, gt=0, description="a visit this long counts as the task `dwell`")
    text: TextVectorSettings = TextVectorSettings()
    vectors: VectorSettings = VectorSettings()
