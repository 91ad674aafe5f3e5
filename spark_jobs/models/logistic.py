"""Logistic regression on hashed fields: McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013.

logit = b + Σ_f w_f + Σ_f w_f x_f
"""

from __future__ import annotations

from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import LogisticSettings
from spark_jobs.models.sides import Seen, Sides


class Logistic(Ranker):
    """The floor: one weight a field value, numbers and vectors enter linearly."""

    def __init__(self, settings: LogisticSettings, layout: Layout) -> None:
        del settings  # nothing to choose
        super().__init__(Sides(layout, 0))

    def item_of(self, seen: Seen) -> Part:
        return Part(seen.linear())

    def viewer_of(self, seen: Seen) -> Part:
        return Part(seen.linear())
