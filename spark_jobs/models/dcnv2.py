"""DCN-v2: Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank
Systems", WWW 2021.

    x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l,   x_0 = [v_1 … v_F, numbers]
    parallel: logit = b + <u, x_L> + MLP(x_0);   stacked: logit = b + MLP(x_L)

`rank` r > 0 makes each W_l a product of (D, r) and (r, D). W_0 x_0 and the deep part's first layer over x_0 are sums of
an item half and a viewer half, and x_0 itself is, each half with zeros in the other's place: [x_0 | W_0 x_0 | first
layer] is what the tail takes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spark_jobs.models.deep import Split, deep_tail, xavier
from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import DCNv2Settings
from spark_jobs.models.sides import Seen, Sides


class MatrixCrosses(nn.Module):
    """(n, D + first cross + h) → (n, 1)."""

    def __init__(self, settings: DCNv2Settings, width: int) -> None:
        super().__init__()
        self.width, rank = width, settings.rank
        self.lift = xavier(nn.Linear(rank, width)) if rank else None  # ends the first cross
        self.crosses = nn.ModuleList(_product(width, rank) for _ in range(1, settings.crosses))
        deep = deep_tail(settings.hidden, dropout=settings.dropout, batch_norm=settings.batch_norm)
        self.out: nn.Linear | None = None
        if settings.structure == "parallel":
            self.deep = deep
            self.out = xavier(nn.Linear(width, 1, bias=False))
        else:
            self.deep = nn.Sequential(xavier(nn.Linear(width, settings.hidden[0])), *deep)
        self.cuts = [width, rank or width, settings.hidden[0] if settings.structure == "parallel" else 0]

    def forward(self, hidden: Tensor) -> Tensor:
        start, crossed, first = torch.split(hidden, self.cuts, 1)
        x = torch.addcmul(start, start, crossed if self.lift is None else self.lift(crossed))
        for cross in self.crosses:
            x = torch.addcmul(x, start, cross(x))
        found: Tensor = self.deep(x) if self.out is None else self.out(x) + self.deep(first)
        return found


def _product(width: int, rank: int) -> nn.Module:
    if not rank:
        return xavier(nn.Linear(width, width))
    return nn.Sequential(xavier(nn.Linear(width, rank, bias=False)), xavier(nn.Linear(rank, width)))


class DCNv2(Ranker):
    """The network."""

    def __init__(self, settings: DCNv2Settings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim, linear="none", pairwise=False))
        item, viewer = self.sides.item.width, self.sides.viewer.width
        self.cross = Split(item, viewer, settings.rank or item + viewer, bias=not settings.rank)
        self.first = Split(item, viewer, settings.hidden[0]) if settings.structure == "parallel" else None
        self.tail: nn.Module = MatrixCrosses(settings, item + viewer)

    def item_of(self, seen: Seen) -> Part:
        x = seen.deep()
        others = x.new_zeros(len(x), self.sides.viewer.width)
        first = () if self.first is None else (self.first.of_item(x),)
        return Part(seen.nothing(), hidden=torch.cat([x, others, self.cross.of_item(x), *first], 1))

    def viewer_of(self, seen: Seen) -> Part:
        x = seen.deep()
        others = x.new_zeros(len(x), self.sides.item.width)
        first = () if self.first is None else (self.first.of_viewer(x),)
        return Part(seen.nothing(), hidden=torch.cat([others, x, self.cross.of_viewer(x), *first], 1))
