"""MMoE: Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018.

    body_t = Σ_e softmax(G_t x)_e · expert_e(x)

Experts' first layers and gates are linear in x, so all of them are part of the split first layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spark_jobs.models.multi_task import Body, Experts, MultiTask
from spark_jobs.models.multi_task_settings import MMoESettings
from spark_jobs.models.ranker import Layout


class Mixture(Body):
    """Experts and a gate a task."""

    def __init__(self, settings: MMoESettings) -> None:
        super().__init__()
        self.count, self.tasks, self.width = settings.experts, 1 + len(settings.tasks), settings.hidden[0]
        self.first = self.count * self.width + self.tasks * self.count
        self.experts = Experts(self.count, settings.hidden, dropout=settings.dropout)

    def forward(self, sums: Tensor) -> Tensor:
        inside, gates = torch.split(sums, [self.count * self.width, self.tasks * self.count], 1)
        experts = self.experts(inside.reshape(-1, self.count, self.width).transpose(0, 1))
        shares = gates.reshape(-1, self.tasks, self.count).softmax(2)
        return torch.einsum("nte,enw->tnw", shares, experts)


class MMoE(MultiTask):
    """The network."""

    def __init__(self, settings: MMoESettings, layout: Layout) -> None:
        super().__init__(settings, layout, Mixture(settings))
