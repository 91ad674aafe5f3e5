"""How a shelf explores."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from segments.config import Settings
from spark_jobs.bandits.quota import Quota


class ExploreSettings(Settings):
    """Exploration of one shelf: how wide the draws are, what the unseen are owed, how propensities are measured."""

    prior_strength: float = Field(
        default=20_000.0,
        gt=0,
        description="impressions that the model's pCTR is worth: at pCTR p a draw's relative spread is about "
        "1/sqrt(p * strength) before anything is seen",
    )
    counts_strength: float = Field(
        default=2_000.0, gt=0, description="impressions that the overall click rate is worth where counts alone score"
    )
    evidence_days: int = Field(
        default=28, ge=0, description="days of the segment's own impressions and clicks added to the model's prior"
    )
    half_life_days: float | None = Field(
        default=None, gt=0, description="evidence loses half its weight in so many days; null: none before it ends"
    )
    click_delay_hours: float = Field(
        default=0.0,
        ge=0,
        description="mean hours from an impression to its click: one of age a counts 1 - exp(-a / delay)",
    )
    position_decay: float = Field(
        default=0.0, ge=0, description="an impression in place r counts r ** -position_decay: so far it is looked at"
    )
    width: float = Field(default=1.0, ge=0, description="of upper confidence bounds: 1 is the papers'")
    epsilon: float = Field(default=0.1, ge=0, le=1, description="share of the places epsilon-greedy fills at random")
    temperature: float = Field(default=0.1, gt=0, description="of softmax: chances go with rate ** (1 / temperature)")
    shared: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="part of the prior's doubt that items of like features share, where the bandit is linear",
    )
    feature_width: int = Field(default=64, ge=8, le=512, description="places the item fields are hashed to for that")
    top: int = Field(default=50, ge=1, description="places of each list that the quota and the propensities speak of")
    share: float = Field(default=0.1, ge=0, le=1, description="least share of these places for little-seen items")
    most: float = Field(default=1.0, ge=0, le=1, description="largest share of these places for little-seen items")
    first_place: int = Field(default=1, ge=1, description="no little-seen item is promoted above this place")
    least_rate: float = Field(
        default=0.0,
        ge=0,
        description="an item is promoted only if believed to be clicked so many times the mean of its list",
    )
    few_impressions: float = Field(default=500.0, ge=0, description="an item seen less than this is little-seen")
    replicates: int = Field(default=32, ge=1, description="Monte Carlo replicates behind each propensity")

    @model_validator(mode="after")
    def _floor_below_ceiling(self) -> Self:
        if self.share > self.most:
            raise ValueError(f"share ({self.share}) is owed, but most ({self.most}) is the limit")
        return self

    def quota(self, *, explores: bool) -> Quota:
        """What little-seen items are owed; nothing where the bandit does not explore."""
        if not explores:
            return Quota(self.top)
        return Quota(self.top, self.share, self.most, self.first_place)
