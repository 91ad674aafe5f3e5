"""Settings of lighter scoring: a shelf's `scoring:` block. Free of torch, so that recipes read quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting

from segments.config import Settings
from spark_jobs.models.settings import FMSettings, FwFMSettings, LogisticSettings, TwoTowerSettings

# Models whose whole grid is one matrix product: what a cascade begins with, and what needs no cascade.
FirstSettings = Annotated[
    LogisticSettings | FMSettings | FwFMSettings | TwoTowerSettings, Setting(discriminator="kind")
]
ONE_PRODUCT = frozenset({"logistic", "fm", "fwfm", "two_tower"})
CHEAP = "cheap"  # folder of its checkpoint, below the shelf's own


class CascadeSettings(Settings):
    """A cheap model of the shelf's own fields scores everything, the shelf's model the top of each segment's lists."""

    model: FirstSettings = FMSettings()
    top: int = Setting(default=1000, ge=1, description="items of each segment, and of each list, that go on")
    lists: str | None = Setting(
        default=None,
        description="categorical item field whose values are lists of their own, such as category; not given: one list",
    )


class ScoringSettings(Settings):
    """How a night's grid is scored."""

    rows: Literal["float32", "int8"] = Setting(
        default="float32", description="int8: embedding rows as bytes with a scale a row, while scoring"
    )
    cascade: CascadeSettings | None = Setting(default=None, description="not given: the shelf's model scores all pairs")
