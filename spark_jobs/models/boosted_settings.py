"""Settings of boosted trees. Free of torch and xgboost, so that recipes read quickly."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from segments.config import Settings


class BoostedSettings(Settings):
    """Gradient-boosted trees: the honest baseline. One of training's epochs grows `trees_a_pass` trees."""

    kind: Literal["xgboost"] = "xgboost"
    objective: Literal["binary:logistic", "rank:ndcg"] = Setting(
        default="binary:logistic", description="rank:ndcg orders the rows of a visit; calibration then gives the level"
    )
    position: str | None = Setting(
        default=None,
        description="rank:ndcg, debiased (lambdarank_unbiased): the context field saying where a row stood. A number "
        "counts from the top; categories stand in the order of their click rates. The trees do not read it",
    )
    trees_a_pass: int = Setting(default=40, ge=1, description="trees of one pass")
    depth: int = Setting(default=6, ge=1, le=16, description="of a tree")
    rate: float = Setting(default=0.1, gt=0.0, le=1.0, description="what a tree's leaves are multiplied by")
    least_weight: float = Setting(default=5.0, ge=0.0, description="min_child_weight: least Hessian of a leaf")
    l2: float = Setting(default=1.0, ge=0.0, description="of leaf values")
    rows: float = Setting(default=0.8, gt=0.0, le=1.0, description="share of the rows a tree sees")
    columns: float = Setting(default=0.8, gt=0.0, le=1.0, description="share of the columns a tree sees")
    most_categories: int = Setting(
        default=256, ge=0, description="fields with at most so many values are also split category by category"
    )
    prior_clicks: float = Setting(default=5.0, gt=0.0, description="clicks at the overall rate added to a value's own")

    @model_validator(mode="after")
    def _positions_are_ranked(self) -> Self:
        if self.position is not None and self.objective != "rank:ndcg":
            raise ValueError("position is debiased by objective rank:ndcg only")
        return self
