"""A deep ensemble: Lakshminarayanan, Pritzel, Blundell, "Simple and Scalable Predictive Uncertainty Estimation Using
Deep Ensembles", NeurIPS 2017.

    logit = 1/M Σ_m logit_m

Members are one network begun at M different weights, each trained on its own loss over the same batches, so a pair of
items that one training happens to put in the wrong order is put right by the others. The mean of logits of the
`Ranker` form is of that form itself, with the members' vectors and hidden sums side by side, so the grid is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, Targets
from spark_jobs.models.registry import network
from spark_jobs.models.settings import EnsembleSettings


class Ensemble(Ranker):
    """The members side by side."""

    members: nn.ModuleList

    def __init__(self, settings: EnsembleSettings, layout: Layout) -> None:
        nn.Module.__init__(self)  # embeddings and constants are the members' own
        self.members = nn.ModuleList(network(settings.member, layout) for _ in range(settings.members))

    @property
    def tail(self) -> nn.Module | None:  # type: ignore[override]
        """The members' tails over their own parts of the hidden sums; made when asked for, or weights had two names."""
        tails = [member.tail for member in self.rankers if member.tail is not None]
        return _Mean(nn.ModuleList(tails)) if tails else None

    @property
    def rankers(self) -> list[Ranker]:
        """The members as what they are."""
        return [member for member in self.members if isinstance(member, Ranker)]

    def item_part(self, batch: Batch) -> Part:
        part = _beside([member.item_part(batch) for member in self.rankers])
        # The dot product of all members' vectors is the sum of theirs: here it becomes the mean.
        return part if part.vector is None else part._replace(vector=part.vector / len(self.members))

    def viewer_part(self, batch: Batch) -> Part:
        return _beside([member.viewer_part(batch) for member in self.rankers])

    def start_at(self, log_odds: float) -> None:
        for member in self.rankers:
            member.start_at(log_odds)

    def forward(self, batch: Batch) -> Tensor:
        return torch.stack([member(batch) for member in self.rankers]).mean(0)

    def objective(self, batch: Batch, targets: Targets) -> Tensor:
        """The sum of the members' losses, each of which reaches its own member alone."""
        return torch.stack([member.objective(batch, targets) for member in self.rankers]).sum()


class _Mean(nn.Module):
    """Tails over equal parts of their input (n, M·h), their mean (n, 1)."""

    def __init__(self, tails: nn.ModuleList) -> None:
        super().__init__()
        self.tails = tails

    def forward(self, hidden: Tensor) -> Tensor:
        parts = hidden.chunk(len(self.tails), dim=1)
        return torch.stack([tail(part) for tail, part in zip(self.tails, parts, strict=True)]).mean(0)


def _beside(parts: list[Part]) -> Part:
    """Mean of biases; vectors and hidden sums side by side."""
    vectors = [part.vector for part in parts if part.vector is not None]
    hidden = [part.hidden for part in parts if part.hidden is not None]
    return Part(
        torch.stack([part.bias for part in parts]).mean(0),
        torch.cat(vectors, 1) if vectors else None,
        torch.cat(hidden, 1) if hidden else None,
    )
