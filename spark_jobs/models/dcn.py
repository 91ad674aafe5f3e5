"""DCN: Wang, Fu, Fu, Wang, "Deep & Cross Network for Ad Click Predictions", ADKDD 2017.

    x_{l+1} = x_0 (x_l·w_l) + b_l + x_l,   logit = b + <u, x_L> + MLP(x_0),   x_0 = [v_1 … v_F, numbers]

Every x_l is α_l x_0 + β_l with a number α_l and a constant β_l = b_0 + … + b_{l−1}, so the crosses need of x_0 only the
L + 1 numbers x_0·w_0 … x_0·w_{L−1} and x_0·u:

    α_0 = 1,   α_{l+1} = α_l (1 + x_0·w_l) + β_l·w_l,   <u, x_L> = α_L x_0·u + β_L·u

Those are sums of an item half and a viewer half, like a deep part's first layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spark_jobs.models.deep import Split, deep_tail
from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import DCNSettings
from spark_jobs.models.sides import Seen, Sides


class Crosses(nn.Module):
    """(n, L + 1 + h) → (n, 1): the crosses over their numbers, and the deep part over its first layer's sums."""

    def __init__(self, item: int, viewer: int, crosses: int, deep: nn.Sequential) -> None:
        super().__init__()
        self.weights = Split(item, viewer, crosses + 1, bias=False)  # w_0 … w_{L−1}, u
        self.shifts = nn.Parameter(torch.zeros(crosses, item + viewer))  # b_0 … b_{L−1}
        self.deep = deep

    def forward(self, hidden: Tensor) -> Tensor:
        crosses = len(self.shifts)
        # β_l·w_l for l = 1 … L, where w_L is u.
        constant = (self.shifts.cumsum(0) * self.weights.whole()[1:]).sum(1)
        alpha = 1.0 + hidden[:, 0]
        for number in range(1, crosses):
            alpha = alpha * (1.0 + hidden[:, number]) + constant[number - 1]
        cross = alpha * hidden[:, crosses] + constant[crosses - 1]
        found: Tensor = cross[:, None] + self.deep(hidden[:, crosses + 1 :])
        return found


class DCN(Ranker):
    """The network: crosses and a deep part side by side."""

    tail: Crosses

    def __init__(self, settings: DCNSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim, linear="none", pairwise=False))
        item, viewer = self.sides.item.width, self.sides.viewer.width
        self.first = Split(item, viewer, settings.hidden[0])
        deep = deep_tail(settings.hidden, dropout=settings.dropout, batch_norm=settings.batch_norm)
        self.tail = Crosses(item, viewer, settings.crosses, deep)

    def item_of(self, seen: Seen) -> Part:
        x = seen.deep()
        return Part(seen.nothing(), hidden=torch.cat([self.tail.weights.of_item(x), self.first.of_item(x)], 1))

    def viewer_of(self, seen: Seen) -> Part:
        x = seen.deep()
        return Part(seen.nothing(), hidden=torch.cat([self.tail.weights.of_viewer(x), self.first.of_viewer(x)], 1))
