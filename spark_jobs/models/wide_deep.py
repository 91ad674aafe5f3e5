"""Wide & Deep: Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016.

    logit = b + Σ_f w_f + MLP([v_1 … v_F, numbers])

The wide part is linear in the fields as they are; a crossed field is one more column of the schema.
"""

from __future__ import annotations

from torch import nn

from spark_jobs.models.deep import Split, deep_tail
from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import WideDeepSettings
from spark_jobs.models.sides import Seen, Sides


class WideDeep(Ranker):
    """Linear terms that remember, and a deep part that generalises."""

    def __init__(self, settings: WideDeepSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim, pairwise=False))
        self.first = Split(self.sides.item.width, self.sides.viewer.width, settings.hidden[0])
        self.tail: nn.Module = deep_tail(settings.hidden, dropout=settings.dropout, batch_norm=settings.batch_norm)

    def item_of(self, seen: Seen) -> Part:
        return Part(seen.linear(), hidden=self.first.of_item(seen.deep()))

    def viewer_of(self, seen: Seen) -> Part:
        return Part(seen.linear(), hidden=self.first.of_viewer(seen.deep()))
