"""DeepFM: Guo, Tang, Ye, Li, He, "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", IJCAI 2017.

    logit = Σ_f w_f + Σ_{f<g} <v_f, v_g> + MLP([v_1 … v_F, numbers])

FM's pairwise term is ½(‖Σv‖² − Σ‖v‖²) (Rendle, ICDM 2010). Over two sides i and s it is
fm_i + fm_s + <Σv_i, Σv_s>, and the MLP's first layer is W_i x_i + W_s x_s: both as `Ranker` wants them.
"""

from __future__ import annotations

from torch import nn

from spark_jobs.models.deep import Split, deep_tail
from spark_jobs.models.fm import own_pairs
from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import DeepFMSettings
from spark_jobs.models.sides import Seen, Sides


class DeepFM(Ranker):
    """A factorisation machine and a deep part over the same embeddings."""

    def __init__(self, settings: DeepFMSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim))
        self.first = Split(self.sides.item.width, self.sides.viewer.width, settings.hidden[0])
        self.tail: nn.Module = deep_tail(settings.hidden, dropout=settings.dropout, batch_norm=settings.batch_norm)

    def item_of(self, seen: Seen) -> Part:
        total = seen.total()
        return Part(seen.linear() + own_pairs(seen, total), total, self.first.of_item(seen.deep()))

    def viewer_of(self, seen: Seen) -> Part:
        total = seen.total()
        return Part(seen.linear() + own_pairs(seen, total), total, self.first.of_viewer(seen.deep()))
