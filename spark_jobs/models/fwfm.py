"""FwFM: Pan et al., "Field-weighted Factorization Machines for Click-Through Rate Prediction in Display Advertising",
WWW 2018.

    logit = b + linear + Σ_{f<g} r_fg <v_f, v_g>

r is trained, one number a pair of fields; linear is Σ w_f (`weights`), Σ <v_f, w_field(f)> (`field_vectors`, FiLV) or
Σ <v_f, w_f> with a vector a field value (`feature_vectors`, FeLV).

With R the symmetric matrix of r, its diagonal zero, and E a row's embeddings (F, d), the pairs are ½ Σ E ⊙ (R E): one
matrix product, no loop over pairs. Between the two sides they are one dot product, <E_i, R_is E_s> or <R_si E_i, E_s>,
whichever has fewer fields: the grid is one matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spark_jobs.models.ranker import Layout, Part, Ranker
from spark_jobs.models.settings import DeepFwFMSettings, FwFMSettings
from spark_jobs.models.sides import Linear, Seen, Sides

TABLE: dict[str, Linear] = {"weights": "weight", "field_vectors": "none", "feature_vectors": "vectors"}


class Pairs(nn.Module):
    """The strengths of all pairs of fields; ones to begin with, which is FM."""

    def __init__(self, item: int, viewer: int) -> None:
        super().__init__()
        self.item, fields = item, item + viewer
        self.narrow_item = item <= viewer
        self.strength = nn.Parameter(torch.ones(fields * (fields - 1) // 2))
        # Where each entry of R stands in (0, strength): the diagonal is the zero.
        place = torch.zeros(fields, fields, dtype=torch.int64)
        above = torch.triu_indices(fields, fields, 1)
        place[above[0], above[1]] = torch.arange(1, above.shape[1] + 1)
        self.register_buffer("place", place + place.T, persistent=False)

    def matrix(self) -> Tensor:
        """R, (F, F)."""
        return torch.cat([self.strength.new_zeros(1), self.strength])[self.get_buffer("place")]

    def of_item(self, fields: Tensor) -> tuple[Tensor, Tensor]:
        """(the item side's own pairs (n,), its vector (n, ·)) from embeddings (n, F, d)."""
        r, a = self.matrix(), self.item
        return _own(fields, r[:a, :a]), (fields if self.narrow_item else torch.matmul(r[a:, :a], fields)).flatten(1)

    def of_viewer(self, fields: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the viewer side."""
        r, a = self.matrix(), self.item
        return _own(fields, r[a:, a:]), (torch.matmul(r[:a, a:], fields) if self.narrow_item else fields).flatten(1)


def _own(fields: Tensor, r: Tensor) -> Tensor:
    return 0.5 * (fields * torch.matmul(r, fields)).sum((1, 2))


class FwFM(Ranker):
    """The network."""

    def __init__(self, settings: FwFMSettings | DeepFwFMSettings, layout: Layout) -> None:
        super().__init__(Sides(layout, settings.dim, linear=TABLE[settings.linear]))
        item, viewer = self.sides.item.count, self.sides.viewer.count
        self.pairs = Pairs(item, viewer)
        self.directions: nn.Parameter | None = None
        if settings.linear == "field_vectors":
            self.directions = nn.Parameter(torch.randn(item + viewer, settings.dim) * 0.01)

    def item_of(self, seen: Seen) -> Part:
        fields = seen.fields()
        own, vector = self.pairs.of_item(fields)
        return Part(own + self._linear(seen, fields, slice(0, self.pairs.item)), vector)

    def viewer_of(self, seen: Seen) -> Part:
        fields = seen.fields()
        own, vector = self.pairs.of_viewer(fields)
        return Part(own + self._linear(seen, fields, slice(self.pairs.item, None)), vector)

    def _linear(self, seen: Seen, fields: Tensor, of_side: slice) -> Tensor:
        return seen.linear() if self.directions is None else (fields * self.directions[of_side]).sum((1, 2))
