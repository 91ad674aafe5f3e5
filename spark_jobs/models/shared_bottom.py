"""Shared bottom: Caruana, "Multitask Learning", Machine Learning 28, 1997. body_t(h) = MLP(h), the same for all t."""

from __future__ import annotations

from torch import Tensor

from spark_jobs.models.multi_task import Body, Experts, MultiTask
from spark_jobs.models.multi_task_settings import SharedBottomSettings
from spark_jobs.models.ranker import Layout


class Bottom(Body):
    """One expert for all."""

    def __init__(self, settings: SharedBottomSettings) -> None:
        super().__init__()
        self.first = settings.hidden[0]
        self.expert = Experts(1, settings.hidden, dropout=settings.dropout)
        self.count = 1 + len(settings.tasks)

    def forward(self, sums: Tensor) -> Tensor:
        found: Tensor = self.expert(sums[None])
        return found.expand(self.count, -1, -1)


class SharedBottom(MultiTask):
    """The network."""

    def __init__(self, settings: SharedBottomSettings, layout: Layout) -> None:
        super().__init__(settings, layout, Bottom(settings))
