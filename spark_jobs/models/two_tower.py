"""Two towers: Huang et al., "Learning Deep Structured Semantic Models", CIKM 2013; Yi et al., "Sampling-Bias-Corrected
Neural Modeling for Large Corpus Item Recommendations", RecSys 2019.

    logit = b_i + b_s + <q_i, q_s> / τ,   q = tower(x) / ‖tower(x)‖,   τ the temperature, trained or fixed

Each tower reads its own side only, so item vectors can stand in an index and a segment's or user's vector in a store.
A side without fields is a constant: its tower still has its bias. Beside the logloss, or in its place, the in-batch
softmax: who clicked must tell the clicked item from the batch's other clicked items and some drawn from all its rows,

    loss = −mean log( e^{z_ss} / Σ_j e^{z_sj} ),   z_sj = b_j + <q_j, q_s> / τ − log Q_j

where Q_j is the share of item j among the candidates: without it, what is popular is punished for being a candidate
often.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, Targets
from spark_jobs.models.settings import TwoTowerSettings
from spark_jobs.models.sides import Seen, Sides

COUNTED = 2**16  # counters of candidates; items that share one share their frequency
KEPT = 0.999  # of the counts, a step: the memory is some thousand steps


class TwoTower(Ranker):
    """The network; linear terms carry popularity, the towers carry taste."""

    def __init__(self, settings: TwoTowerSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim, pairwise=False))
        self.settings = settings
        self.item_tower = _tower(self.sides.item.width, settings)
        self.viewer_tower = _tower(self.sides.viewer.width, settings)
        scale = torch.tensor(-math.log(settings.temperature or 1.0 / 3.0))
        if settings.temperature is None:
            self.log_scale = nn.Parameter(scale)
        else:
            self.register_buffer("log_scale", scale)
        if settings.loss != "logloss":
            self.register_buffer("candidates", torch.zeros(COUNTED))
            # A step that sees only its own rows of the table numbers them anew, and says here which they are.
            self.register_buffer("numbered", torch.zeros(0, dtype=torch.int64), persistent=False)

    def item_of(self, seen: Seen) -> Part:
        return Part(seen.linear(), self._unit(self.item_tower(seen.deep())) * self.log_scale.exp())

    def viewer_of(self, seen: Seen) -> Part:
        return Part(seen.linear(), self._unit(self.viewer_tower(seen.deep())))

    def objective(self, batch: Batch, targets: Targets) -> Tensor:
        """Logloss, in-batch softmax over the clicked rows, or their sum; draws from torch's global generator."""
        if self.settings.loss == "logloss":
            return super().objective(batch, targets)
        softmax = self._softmax(batch, targets)
        if self.settings.loss == "softmax":
            return softmax
        return super().objective(batch, targets) + self.settings.softmax_weight * softmax

    def _softmax(self, batch: Batch, targets: Targets) -> Tensor:
        clicked = targets.label.nonzero().squeeze(1)
        drawn = torch.randint(len(targets.label), (self.settings.negatives,), device=clicked.device)
        chosen = torch.cat([clicked, drawn])
        viewer = self.viewer_part(_rows(batch, clicked)).vector
        items = _rows(batch, chosen)
        item, key = self.item_part(items), self._keys(items)
        assert viewer is not None
        assert item.vector is not None
        logits = viewer @ item.vector.T + item.bias
        if not len(clicked):
            return logits.sum() + 0.0 * item.bias.sum()
        if self.settings.correction == "popularity":
            logits = logits - self._log_share(key)
        # The same item elsewhere among the candidates is no wrong answer.
        own = torch.arange(len(clicked), device=clicked.device)
        again = key[own, None] == key[None, :]
        again[own, own] = False
        logits = logits.masked_fill(again, -torch.inf)
        each = nn.functional.cross_entropy(logits, own, reduction="none")
        return (each if targets.weight is None else each * targets.weight[clicked]).mean()

    def _keys(self, items: Batch) -> Tensor:
        """Items told apart by their categorical fields: a counter's number each, (n,)."""
        key = torch.zeros(len(items.rows), dtype=torch.int64, device=items.rows.device)
        numbered = self.get_buffer("numbered")
        for column in self.sides.item.columns.rows:
            row = items.rows[:, column].long()
            key = key * 0x9E3779B1 + (numbered[row] if len(numbered) else row) + 1
            key = key ^ (key >> 29)
        return key.remainder(COUNTED)

    def _log_share(self, key: Tensor) -> Tensor:
        """ln of each candidate's share of the candidates so far, these included."""
        counts = self.get_buffer("candidates")
        if self.training:
            with torch.no_grad():
                counts.mul_(KEPT).add_(torch.bincount(key, minlength=COUNTED))
        return (counts[key].clamp(min=1.0) / counts.sum().clamp(min=1.0)).log()

    @staticmethod
    def _unit(vectors: Tensor) -> Tensor:
        return nn.functional.normalize(vectors, dim=1, eps=1e-6)


def _rows(batch: Batch, index: Tensor) -> Batch:
    return Batch(*(columns.index_select(0, index) for columns in batch))


def _tower(width: int, settings: TwoTowerSettings) -> nn.Sequential:
    layers: list[nn.Module] = []
    for after in settings.hidden:
        layers += [nn.Linear(width, after), nn.ReLU()]
        if settings.dropout:
            layers.append(nn.Dropout(settings.dropout))
        width = after
    return nn.Sequential(*layers, nn.Linear(width, settings.out))
