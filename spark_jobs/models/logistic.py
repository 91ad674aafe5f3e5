"""Logistic regression on hashed fields: McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013.

logit = b + Σ_f w_f + Σ_f w_f x_f
"""

from __future__ import annotations

import torch
from torch import nn

from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, SideEncoder, fresh_table
from spark_jobs.models.settings import LogisticSettings


class Logistic(Ranker):
    """The floor: one weight a field value, numbers and vectors enter linearly."""

    def __init__(self, settings: LogisticSettings, layout: Layout) -> None:
        del settings  # nothing to choose
        super().__init__()
        self.table = fresh_table(layout.table_rows, 0)
        self.item = SideEncoder(layout.item, 0)
        self.viewer = SideEncoder(layout.viewer, 0)
        self.bias = nn.Parameter(torch.zeros(()))

    def item_part(self, batch: Batch) -> Part:
        return Part(self.item(self.table, batch)[0] + self.bias)

    def viewer_part(self, batch: Batch) -> Part:
        return Part(self.viewer(self.table, batch)[0])
