"""Several tasks, one ranking: heads for the click and what may follow it, over a body that the subclass gives.

    z_t = tower_t(body_t(h)) + s_t·l + b,   h = W_i x_i + W_s x_s,   l = Σ_f w_f
    logit = Σ_t weight_t · (z_t − b) + b

x are the embeddings and numbers of DeepFM's deep part and l its linear terms. Blending log odds is a weighted
geometric mean of the odds (weights below zero push down, as for `hide`); with weight 1 on the click alone the logit is
the click's own. Everything behind the sums h is the `tail`, so the grid is exact. The labels of tasks are those of
`Targets.tasks`, NaN where not known; what sampling did to the log odds of the click is taken to hold for all heads,
which is so where the acts are rare.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from spark_jobs.models.deep import Split
from spark_jobs.models.multi_task_settings import MultiTaskSettings
from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, Targets
from spark_jobs.models.sides import Seen, Sides


class Grouped(nn.Module):
    """G linear layers side by side: (G, n, in) to (G, n, out), one batched matrix product."""

    def __init__(self, groups: int, inside: int, out: int) -> None:
        super().__init__()
        drawn = [nn.init.xavier_normal_(torch.empty(inside, out)) for _ in range(groups)]
        self.weight = nn.Parameter(torch.stack(drawn))
        self.bias = nn.Parameter(torch.zeros(groups, 1, out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class Experts(nn.Module):
    """G networks side by side, from the sums of their first layers (G, n, h₁) to (G, n, last width)."""

    def __init__(self, groups: int, widths: tuple[int, ...], *, dropout: float) -> None:
        super().__init__()
        pairs = pairwise(widths)
        self.layers = nn.ModuleList(Grouped(groups, here, after) for here, after in pairs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sums: Tensor) -> Tensor:
        hidden = sums.relu()
        for layer in self.layers:
            hidden = layer(self.dropout(hidden)).relu()
        return hidden


class Body(nn.Module):
    """What stands between the first sums (n, `first`) and the heads' inputs (tasks, n, width)."""

    first: int


class Heads(nn.Module):
    """The tail: body, towers, blend. Its input is the body's sums and, last, the linear terms."""

    def __init__(self, settings: MultiTaskSettings, body: Body) -> None:
        super().__init__()
        tasks, widths = 1 + len(settings.tasks), (settings.hidden[-1], *settings.tower, 1)
        self.body = body
        pairs = pairwise(widths)
        self.tower = nn.ModuleList(Grouped(tasks, here, after) for here, after in pairs)
        self.linear = nn.Parameter(torch.ones(tasks))
        self.dropout = nn.Dropout(settings.dropout)
        self.register_buffer("blend", torch.tensor(settings.weights("blend")), persistent=False)

    def each(self, hidden: Tensor) -> Tensor:
        """Log odds of each task, less the network's constant, (n, tasks); the click's first."""
        found: Tensor = self.body(hidden[:, :-1])
        for depth, layer in enumerate(self.tower):
            found = layer(self.dropout(found if depth == 0 else found.relu()))
        return found.squeeze(2).T + hidden[:, -1:] * self.linear

    def forward(self, hidden: Tensor) -> Tensor:
        """The blend, (n, 1)."""
        return (self.each(hidden) @ self.get_buffer("blend"))[:, None]


class MultiTask(Ranker):
    """The network; a subclass brings the body."""

    def __init__(self, settings: MultiTaskSettings, layout: Layout, body: Body) -> None:
        super().__init__(Sides(layout, settings.dim, pairwise=False))
        self.first = Split(self.sides.item.width, self.sides.viewer.width, body.first)
        self.tail = Heads(settings, body)
        self.register_buffer("weights", torch.tensor(settings.weights("loss")), persistent=False)

    @property
    def heads(self) -> Heads:
        """The tail, which is all heads at once."""
        assert isinstance(self.tail, Heads)
        return self.tail

    def item_of(self, seen: Seen) -> Part:
        return _part(self.first.of_item(seen.deep()), seen)

    def viewer_of(self, seen: Seen) -> Part:
        return _part(self.first.of_viewer(seen.deep()), seen)

    def tasks(self, batch: Batch) -> Tensor:
        """Log odds of every task, (n, tasks), the click's first."""
        item, viewer = (self.item_of(self.sides.of_item(batch)), self.viewer_of(self.sides.of_viewer(batch)))
        assert item.hidden is not None
        assert viewer.hidden is not None
        return self.heads.each(item.hidden + viewer.hidden) + self.bias

    def objective(self, batch: Batch, targets: Targets) -> Tensor:
        """Weighted sum of the tasks' loglosses, each a mean over the rows whose label is known."""
        logits = self.tasks(batch)
        if targets.offset is not None:
            logits = logits + targets.offset[:, None]
        labels = torch.full_like(logits, torch.nan)
        labels[:, 0] = targets.label
        if targets.tasks is not None:
            labels[:, 1:] = targets.tasks
        known = ~labels.isnan()
        each = nn.functional.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        if targets.weight is not None:
            each = each * targets.weight[:, None]
        means = (each * known).sum(0) / known.sum(0).clamp(min=1)
        return (means * self.get_buffer("weights")).sum()


def _part(sums: Tensor, seen: Seen) -> Part:
    return Part(sums.new_zeros(len(sums)), None, torch.cat([sums, seen.linear()[:, None]], 1))
