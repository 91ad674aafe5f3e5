"""DeepFwFM: Deng et al., "DeepLight: Deep Lightweight Feature Interactions for Accelerating CTR Predictions in Ad
Serving", WSDM 2021.

    logit = b + linear + Σ_{f<g} r_fg <v_f, v_g> + MLP([v_1 … v_F, numbers])

DeepLight's pruning is an option: the smallest weights of each layer of the deep part, of r and of the embeddings are
set to zero every few steps while training goes on, so that what was cut too early grows back. The share cut rises as
Zhu and Gupta ("To prune, or not to prune", 2017) let it: target · (1 − (1 − t/T)³) after t steps of T.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn

from spark_jobs.models.deep import Split, deep_tail
from spark_jobs.models.fwfm import FwFM
from spark_jobs.models.ranker import Batch, Layout, Part, Targets
from spark_jobs.models.settings import DeepFwFMSettings
from spark_jobs.models.sides import Seen

EVERY = 10  # steps between two cuts


class DeepFwFM(FwFM):
    """The network. Evaluated (`eval()`), a network that prunes is cut to the share its training has reached."""

    def __init__(self, settings: DeepFwFMSettings, layout: Layout) -> None:
        super().__init__(settings, layout)
        self.settings = settings
        self.first = Split(self.sides.item.width, self.sides.viewer.width, settings.hidden[0])
        self.tail: nn.Module = deep_tail(settings.hidden, dropout=settings.dropout, batch_norm=settings.batch_norm)
        self.prunes = max(settings.prune_deep, settings.prune_pairs, settings.prune_embeddings) > 0.0
        if self.prunes:
            self.register_buffer("steps", torch.zeros((), dtype=torch.float64))

    def item_of(self, seen: Seen) -> Part:
        return super().item_of(seen)._replace(hidden=self.first.of_item(seen.deep()))

    def viewer_of(self, seen: Seen) -> Part:
        return super().viewer_of(seen)._replace(hidden=self.first.of_viewer(seen.deep()))

    def objective(self, batch: Batch, targets: Targets) -> Tensor:
        if self.prunes:
            steps = self.get_buffer("steps").add_(1)
            if int(steps) % EVERY == 0:
                self.prune()
        return super().objective(batch, targets)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if not mode and self.prunes and self.sides.int8 is None:
            self.prune()
        return self

    @torch.no_grad()
    def prune(self) -> dict[str, float]:
        """Cuts to the share reached, and returns the share of weights left: `deep`, `pairs`, `embeddings`, `all`."""
        done = min(1.0, float(self.get_buffer("steps")) / self.settings.prune_steps) if self.prunes else 0.0
        left: dict[str, tuple[int, int]] = {}
        for name, target, weights in self._prunable():
            cut = int(target * (1.0 - (1.0 - done) ** 3) * weights.numel())
            if cut:
                size = weights.abs()
                weights.mul_(size > size.flatten().kthvalue(cut).values)
            kept, of = left.get(name, (0, 0))
            left[name] = (kept + int(weights.count_nonzero()), of + weights.numel())
        left["all"] = (sum(kept for kept, _ in left.values()), sum(of for _, of in left.values()))
        return {name: kept / of if of else 1.0 for name, (kept, of) in left.items()}

    def _prunable(self) -> Iterator[tuple[str, float, Tensor]]:
        tail = [module.weight for module in self.tail.modules() if isinstance(module, nn.Linear)]
        for weights in (self.first.item, self.first.viewer, *tail):
            if weights is not None:
                yield "deep", self.settings.prune_deep, weights.data
        yield "pairs", self.settings.prune_pairs, self.pairs.strength.data
        yield "embeddings", self.settings.prune_embeddings, self.sides.table.data[:, : self.settings.dim]
