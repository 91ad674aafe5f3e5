"""Two towers: Huang et al., "Learning Deep Structured Semantic Models", CIKM 2013; Yi et al., RecSys 2019.

    logit = b_i + b_s + exp(t)·<q_i, q_s>,   q = tower(x) / ‖tower(x)‖,   t the trained log of 1/temperature

Each tower reads its own side only, so item vectors can stand in an index and a segment's or user's vector in a store.
A side without fields is a constant: its tower still has its bias.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import TwoTowerSettings
from spark_jobs.models.sides import Seen, Sides


class TwoTower(Ranker):
    """The network; linear terms carry popularity, the towers carry taste."""

    def __init__(self, settings: TwoTowerSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim, pairwise=False))
        self.item_tower = _tower(self.sides.item.width, settings)
        self.viewer_tower = _tower(self.sides.viewer.width, settings)
        self.log_scale = nn.Parameter(torch.tensor(math.log(3.0)))

    def item_of(self, seen: Seen) -> Part:
        return Part(seen.linear(), self._unit(self.item_tower(seen.deep())) * self.log_scale.exp())

    def viewer_of(self, seen: Seen) -> Part:
        return Part(seen.linear(), self._unit(self.viewer_tower(seen.deep())))

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
