"""How a shelf explores."""

from __future__ import annotations

from pydantic import Field

from segments.config import Settings


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
    top: int = Field(default=50, ge=1, description="places of each list that the quota and the propensities speak of")
    share: float = Field(default=0.1, ge=0, le=1, description="least share of these places for little-seen items")
    few_impressions: float = Field(default=500.0, ge=0, description="an item seen less than this is little-seen")
    replicates: int = Field(default=32, ge=1, description="Monte Carlo replicates behind each propensity")
