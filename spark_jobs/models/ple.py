"""PLE: Tang, Liu, Zhao, Gong, "Progressive Layered Extraction: A Novel Multi-Task Learning Model", RecSys 2020.

At each level task t mixes its own experts and the shared ones by a gate; the shared part mixes all experts. The
mixtures of a level are the inputs of the next (at the first, x for all), and the last level's go to the heads. First
layers and gates of the first level are linear in x, so they are part of the split first layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spark_jobs.models.deep import xavier
from spark_jobs.models.multi_task import Body, Experts, Grouped, MultiTask
from spark_jobs.models.multi_task_settings import PLESettings
from spark_jobs.models.ranker import Layout


class Level(nn.Module):
    """Experts and mixing of one level; what it reads is made by the level's first layer."""

    def __init__(self, settings: PLESettings, *, last: bool) -> None:
        super().__init__()
        self.tasks, self.own, self.shared = 1 + len(settings.tasks), settings.own, settings.shared
        self.width, self.every = settings.hidden[0], (1 + len(settings.tasks)) * settings.own + settings.shared
        self.last = last
        self.experts = Experts(self.every, settings.hidden, dropout=settings.dropout)
        self.task_inputs = self.own * self.width + self.own + self.shared
        self.shared_inputs = self.shared * self.width + (0 if last else self.every)

    def forward(self, of_tasks: Tensor, of_shared: Tensor) -> tuple[Tensor, Tensor | None]:
        """From first layers (tasks, n, task_inputs) and (n, shared_inputs) to mixtures (tasks, n, w) and (n, w)."""
        n = of_shared.shape[0]
        own, gates = torch.split(of_tasks, [self.own * self.width, self.own + self.shared], 2)
        common, gate = torch.split(of_shared, [self.shared * self.width, 0 if self.last else self.every], 1)
        own = own.reshape(self.tasks, n, self.own, self.width).transpose(1, 2).reshape(-1, n, self.width)
        common = common.reshape(n, self.shared, self.width).transpose(0, 1)
        experts = self.experts(torch.cat([own, common]))
        mine = experts[: self.tasks * self.own].reshape(self.tasks, self.own, n, -1)
        all_tasks = experts[self.tasks * self.own :]
        shares = gates.softmax(2)
        mixed = torch.einsum("tne,tenw->tnw", shares[:, :, : self.own], mine)
        mixed = mixed + torch.einsum("tne,enw->tnw", shares[:, :, self.own :], all_tasks)
        return mixed, None if self.last else torch.einsum("ne,enw->nw", gate.softmax(1), experts)


class Extraction(Body):
    """All levels."""

    def __init__(self, settings: PLESettings) -> None:
        super().__init__()
        depth = settings.levels
        self.levels = nn.ModuleList(Level(settings, last=level == depth - 1) for level in range(depth))
        lowest, width = self.levels[0], settings.hidden[-1]
        assert isinstance(lowest, Level)
        self.tasks = lowest.tasks
        self.split = [lowest.tasks * lowest.task_inputs, lowest.shared_inputs]
        self.first = sum(self.split)
        above = [level for level in self.levels if level is not lowest and isinstance(level, Level)]
        self.of_tasks = nn.ModuleList(Grouped(level.tasks, width, level.task_inputs) for level in above)
        self.of_shared = nn.ModuleList(xavier(nn.Linear(width, level.shared_inputs)) for level in above)

    def forward(self, sums: Tensor) -> Tensor:
        of_tasks, of_shared = torch.split(sums, self.split, 1)
        tasks, shared = self.levels[0](of_tasks.reshape(len(sums), self.tasks, -1).transpose(0, 1), of_shared)
        for level, task_layer, shared_layer in zip(list(self.levels)[1:], self.of_tasks, self.of_shared, strict=True):
            tasks, shared = level(task_layer(tasks), shared_layer(shared))
        found: Tensor = tasks
        return found


class PLE(MultiTask):
    """The network."""

    def __init__(self, settings: PLESettings, layout: Layout) -> None:
        super().__init__(settings, layout, Extraction(settings))
