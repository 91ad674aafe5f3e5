"""Two towers: Huang et al., "Learning Deep Structured Semantic Models", CIKM 2013; Yi et al., RecSys 2019.

    logit = b_i + b_s + exp(t)·<q_i, q_s>,   q = tower(x) / ‖tower(x)‖,   t the trained log of 1/temperature

Each tower reads its own side only, so item vectors can stand in an index and a segment's or user's vector in a store.
A side without fields is a constant: its tower still has its bias.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, SideEncoder, fresh_table
from spark_jobs.models.settings import TwoTowerSettings


class TwoTower(Ranker):
    """The network; linear terms carry popularity, the towers carry taste."""

    def __init__(self, settings: TwoTowerSettings, layout: Layout) -> None:
        super().__init__()
        self.table = fresh_table(layout.table_rows, settings.dim)
        self.item = SideEncoder(layout.item, settings.dim)
        self.viewer = SideEncoder(layout.viewer, settings.dim)
        self.item_tower = _tower(self.item.width, settings)
        self.viewer_tower = _tower(self.viewer.width, settings)
        self.bias = nn.Parameter(torch.zeros(()))
        self.log_scale = nn.Parameter(torch.tensor(math.log(3.0)))

    def item_part(self, batch: Batch) -> Part:
        linear, _, _, deep = self.item(self.table, batch)
        return Part(linear + self.bias, self._unit(self.item_tower(deep)) * self.log_scale.exp())

    def viewer_part(self, batch: Batch) -> Part:
        linear, _, _, deep = self.viewer(self.table, batch)
        return Part(linear, self._unit(self.viewer_tower(deep)))

    @staticmethod
    def _unit(vectors: Tensor) -> Tensor:
        return nn.functional.normalize(vectors, dim=1, eps=1e-6)


def _tower(width: int, settings: TwoTowerSettings) -> nn.Sequential:
    layers: list[nn.Module] = []
    for after in settings.hidden:
        layers += [nn.Linear(width, after), nn.ReLU()]
        if settings.dropout:
            layers.append(nn.Dropout(settings.dropout))
        width = after
    return nn.Sequential(*layers, nn.Linear(width, settings.out))
