"""DeepFM: Guo, Tang, Ye, Li, He, "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", IJCAI 2017.

    logit = Σ_f w_f + Σ_{f<g} <v_f, v_g> + MLP([v_1 … v_F, numbers])

FM's pairwise term is ½(‖Σv‖² − Σ‖v‖²) (Rendle, ICDM 2010). Over two sides i and s it is
fm_i + fm_s + <Σv_i, Σv_s>, and the MLP's first layer is W_i x_i + W_s x_s: both as `Ranker` wants them.
"""

from __future__ import annotations

from torch import Tensor, nn

from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, SideEncoder, fresh_table
from spark_jobs.models.settings import DeepFMSettings


class DeepFM(Ranker):
    """The network. `hidden=()` leaves a factorisation machine with one bias."""

    def __init__(self, settings: DeepFMSettings, layout: Layout) -> None:
        super().__init__()
        self.table = fresh_table(layout.table_rows, settings.dim)
        self.item = SideEncoder(layout.item, settings.dim)
        self.viewer = SideEncoder(layout.viewer, settings.dim)
        self.item_first: nn.Linear | None = None
        self.viewer_first: nn.Linear | None = None
        if settings.hidden:
            # The two halves are one layer over both sides' inputs: initialised as one, so its scale is right.
            whole = nn.Linear(self.item.width + self.viewer.width, settings.hidden[0])
            self.item_first = nn.Linear(self.item.width, settings.hidden[0])
            self.item_first.weight.data = whole.weight.data[:, : self.item.width].clone()
            if self.viewer.width:
                self.viewer_first = nn.Linear(self.viewer.width, settings.hidden[0], bias=False)
                self.viewer_first.weight.data = whole.weight.data[:, self.item.width :].clone()
            self.tail = deep_tail(settings.hidden, dropout=settings.dropout, batch_norm=settings.batch_norm)
        else:
            self.bias = nn.Parameter(self.table.new_zeros(()))

    def item_part(self, batch: Batch) -> Part:
        return self._part(self.item, self.item_first, batch, bias=self.bias)

    def viewer_part(self, batch: Batch) -> Part:
        return self._part(self.viewer, self.viewer_first, batch, bias=None)

    def _part(self, side: SideEncoder, first: nn.Linear | None, batch: Batch, *, bias: Tensor | None) -> Part:
        linear, total, squares, deep = side(self.table, batch)
        own = linear + 0.5 * (total.square().sum(1) - squares)
        if bias is not None:
            own = own + bias
        if self.tail is None:
            return Part(own, total)
        width = self.item_first.out_features if self.item_first is not None else 0
        return Part(own, total, first(deep) if first is not None else own.new_zeros(own.shape[0], width))


def deep_tail(hidden: tuple[int, ...], *, dropout: float, batch_norm: bool) -> nn.Sequential:
    """What follows the first layer's sums: (normalise, activate, drop) a layer, then one number."""
    layers: list[nn.Module] = []
    for here, after in zip(hidden, (*hidden[1:], 1), strict=True):
        if batch_norm:
            layers.append(nn.BatchNorm1d(here))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(here, after))
    return nn.Sequential(*layers)
