"""FM: Rendle, "Factorization Machines", ICDM 2010.

    logit = b + Σ_f w_f + Σ_{f<g} <v_f, v_g>

The pairwise term is ½(‖Σv‖² − Σ‖v‖²). Over two sides i and s it is fm_i + fm_s + <Σv_i, Σv_s>: the grid is one matrix
product.
"""

from __future__ import annotations

from torch import Tensor

from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import FMSettings
from spark_jobs.models.sides import Seen, Sides


class FM(Ranker):
    """The network."""

    def __init__(self, settings: FMSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim))

    def item_of(self, seen: Seen) -> Part:
        total = seen.total()
        return Part(seen.linear() + own_pairs(seen, total), total)

    def viewer_of(self, seen: Seen) -> Part:
        return self.item_of(seen)


def own_pairs(seen: Seen, total: Tensor) -> Tensor:
    """Σ_{f<g} <v_f, v_g> within one side, (n,), from its sum of embeddings (n, d)."""
    return 0.5 * (total.square().sum(1) - seen.squares())
