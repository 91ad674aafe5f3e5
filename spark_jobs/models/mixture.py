"""A shared model and a small part of a unit's own on top: partial pooling, Gelman and Hill, "Data Analysis Using
Regression and Multilevel/Hierarchical Models", 2007, ch. 12.

    logit = logit_shared + b + Σ_f w_f + Σ_f w_f x_f

A store's small part is fitted on its own examples (`correction`) and put beside the shared network by `mixed`; the grid
stays exact, since weights of values only add to what the item and the segment say. Named in a recipe, both parts are
trained at once, on everything.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.correction import Correction
from spark_jobs.models.logistic import Logistic
from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, Targets
from spark_jobs.models.registry import network
from spark_jobs.models.settings import LogisticSettings, MixtureSettings


class Mixture(Ranker):
    """Any network, and a weight a field value beside it, nothing at first."""

    def __init__(self, settings: MixtureSettings, layout: Layout) -> None:
        nn.Module.__init__(self)  # embeddings and constants are the two parts' own
        self.shared = network(settings.shared_model, layout)
        self.own = Logistic(LogisticSettings(), layout)
        with torch.no_grad():
            for parameter in self.own.parameters():
                parameter.zero_()

    @property
    def tail(self) -> nn.Module | None:  # type: ignore[override]
        """The shared network's; made when asked for, or its weights had two names."""
        return self.shared.tail

    def item_part(self, batch: Batch) -> Part:
        return _moved(self.shared.item_part(batch), self.own.item_part(batch))

    def viewer_part(self, batch: Batch) -> Part:
        return _moved(self.shared.viewer_part(batch), self.own.viewer_part(batch))

    def start_at(self, log_odds: float) -> None:
        self.shared.start_at(log_odds)

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.shared(batch) + self.own(batch)
        return found

    def objective(self, batch: Batch, targets: Targets) -> Tensor:
        """The shared network's own loss, to which the small part is one more known shift of the log odds."""
        own: Tensor = self.own(batch)
        return self.shared.objective(
            batch, targets._replace(offset=own if targets.offset is None else own + targets.offset)
        )


def mixed(shared: Checkpoint, own: Correction) -> Checkpoint:
    """The checkpoint that scores as `shared` does, corrected by a unit's own part; its calibration is the shared one.

    Args:
        shared: float32 rows, not bytes.
        own: fitted on the logits of `shared`.
    """
    settings = MixtureSettings.of({"shared_model": shared.settings.model_dump()})
    found = Mixture(settings, shared.encoder.layout)
    found.shared.load_state_dict(shared.model.state_dict())
    _fill(found.own, own)
    return replace(shared, settings=settings, model=found.eval(), state={})


def _fill(network: Logistic, own: Correction) -> None:
    """Puts the fitted weights where the network has a weight for the same value, number, or constant."""
    values, numbers, constant = (torch.from_numpy(part).float() for part in own.by_kind)
    with torch.no_grad():
        network.sides.table[torch.from_numpy(own.columns), -1] = values
        network.bias.copy_(constant[0])
        for side in (network.sides.item, network.sides.viewer):
            if side.columns.numeric:
                side.numeric[:, -1] = numbers[list(side.columns.numeric)]


def _moved(part: Part, own: Part) -> Part:
    return part._replace(bias=part.bias + own.bias)
