"""DNN: Covington, Adams, Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys 2016 (its ranking part).

logit = b + MLP([v_1 … v_F, numbers])
"""

from __future__ import annotations

from torch import nn

from spark_jobs.models.deep import Split, deep_tail
from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import DNNSettings
from spark_jobs.models.sides import Seen, Sides


class DNN(Ranker):
    """The network; the table holds embeddings only."""

    def __init__(self, settings: DNNSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim, linear="none", pairwise=False))
        self.first = Split(self.sides.item.width, self.sides.viewer.width, settings.hidden[0])
        self.tail: nn.Module = deep_tail(settings.hidden, dropout=settings.dropout, batch_norm=settings.batch_norm)

    def item_of(self, seen: Seen) -> Part:
        return Part(seen.nothing(), hidden=self.first.of_item(seen.deep()))

    def viewer_of(self, seen: Seen) -> Part:
        return Part(seen.nothing(), hidden=self.first.of_viewer(seen.deep()))
