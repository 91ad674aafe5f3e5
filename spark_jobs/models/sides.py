"""What each side of a network reads: one shared embedding table, gathered once a batch, and the fields' directions.

Numeric field f with value x is x·v_f as an embedding, and enters a deep part as the number itself; a vector field is
projected to one embedding. Both sides read the same table, whose rows hold an embedding and, where the model has linear
terms, a weight (or a vector of weights, Pan et al., WWW 2018) behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from spark_jobs.models.int8_rows import Int8Rows

if TYPE_CHECKING:
    from spark_jobs.models.ranker import Batch, Layout, Side

Linear = Literal["weight", "vectors", "none"]


class Seen:
    """One side of n rows, as a model may ask for it; what it does not ask for is not computed."""

    def __init__(self, side: SideEncoder, picked: Tensor, numbers: Tensor | None, projected: list[Tensor]) -> None:
        self.side, self.numbers, self.projected = side, numbers, projected
        # Split, not sliced: a slice's gradient is as large as the whole, and mostly zeros.
        self.embedded, self._behind = torch.split(picked, [side.dim, picked.shape[2] - side.dim], 2)

    def __len__(self) -> int:
        return self.embedded.shape[0]

    def nothing(self) -> Tensor:
        """Zeros (n,): the share of a side that adds nothing of its own."""
        return self.embedded.new_zeros(len(self))

    def linear(self) -> Tensor:
        """Σ_f w_f, of numbers Σ_f w_f x_f; (n,)."""
        d = self.side.dim
        behind = self._behind if self.side.linear == "weight" else self._behind * self.embedded
        found = behind.sum((1, 2))
        if self.numbers is not None:
            found = found + self.numbers @ self.side.numeric[:, -1]
        for p in self.projected:
            found = found + p[:, d]
        return found

    def total(self) -> Tensor:
        """Σ_f v_f, (n, d)."""
        d = self.side.dim
        found = self.embedded.sum(1)
        if self.numbers is not None:
            found = found + self.numbers @ self.side.numeric[:, :d]
        for p in self.projected:
            found = found + p[:, :d]
        return found

    def squares(self) -> Tensor:
        """Σ_f ‖v_f‖², (n,)."""
        d = self.side.dim
        found = _square_sum(self.embedded)
        if self.numbers is not None:
            found = found + self.numbers.square() @ self.side.numeric[:, :d].square().sum(1)
        for p in self.projected:
            found = found + p[:, :d].square().sum(1)
        return found

    def fields(self) -> Tensor:
        """Embeddings (n, F, d): categorical fields, numbers, vectors."""
        d, found = self.side.dim, [self.embedded]
        if self.numbers is not None:
            found.append(self.numbers[:, :, None] * self.side.numeric[None, :, :d])
        found += [p[:, None, :d] for p in self.projected]
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def deep(self) -> Tensor:
        """Embeddings side by side, the numbers as they are, projected vectors; (n, width)."""
        d = self.side.dim
        found = [self.embedded.reshape(len(self), self.embedded.shape[1] * d)]
        if self.numbers is not None:
            found.append(self.numbers)
        found += [p[:, :d] for p in self.projected]
        return found[0] if len(found) == 1 else torch.cat(found, 1)


class _SquareSum(torch.autograd.Function):
    """Σ x² of (n, F, d) by row: one pass forward, one back, where torch's own takes four."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square().sum((1, 2))

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        found: Tensor = x * (2.0 * slope)[:, None, None]
        return found


def _square_sum(x: Tensor) -> Tensor:
    found: Tensor = _SquareSum.apply(x)
    return found


class SideEncoder(nn.Module):
    """One side's numbers and vectors; its categorical fields are rows of the shared table."""

    numeric: nn.Parameter

    def __init__(self, side: Side, dim: int, *, linear: Linear, pairwise: bool) -> None:
        super().__init__()
        self.columns, self.dim, self.linear = side, dim, linear
        self.register_buffer("numbers", torch.tensor(side.numeric, dtype=torch.int64), persistent=False)
        extra = 0 if linear == "none" else 1
        width = (dim if pairwise else 0) + extra
        if side.numeric and width:
            self.numeric = nn.Parameter(torch.randn(len(side.numeric), width) * 0.01)
        self.projections = nn.ModuleList(nn.Linear(size, dim + extra, bias=False) for _, size in side.vectors)

    @property
    def width(self) -> int:
        """Numbers in `Seen.deep`."""
        return (len(self.columns.rows) + len(self.columns.vectors)) * self.dim + len(self.columns.numeric)

    @property
    def count(self) -> int:
        """Fields in `Seen.fields`."""
        return len(self.columns.rows) + len(self.columns.numeric) + len(self.columns.vectors)

    def forward(self, picked: Tensor, batch: Batch) -> Seen:
        """The side of a batch, from its rows of the table (n, C, w)."""
        numbers = batch.numeric.index_select(1, self.get_buffer("numbers")) if self.columns.numeric else None
        spans = zip(self.columns.vectors, self.projections, strict=True)
        return Seen(self, picked, numbers, [layer(batch.vectors[:, at : at + size]) for (at, size), layer in spans])


class Sides(nn.Module):
    """The shared table and both sides.

    Args:
        layout: which columns belong to whom.
        dim: numbers in an embedding.
        linear: what a table row holds beside the embedding.
        pairwise: whether numbers need embeddings; a deep part reads them as they are.
    """

    def __init__(self, layout: Layout, dim: int, *, linear: Linear = "weight", pairwise: bool = True) -> None:
        super().__init__()
        # Drawn in place: a table of millions of rows is the most a network holds.
        width = dim + {"weight": 1, "vectors": dim, "none": 0}[linear]
        table = torch.empty(layout.table_rows, width).normal_(0.0, 0.01)
        if linear == "weight":
            table[:, dim] = 0.0
        self.table = nn.Parameter(table)
        self.int8: Int8Rows | None = None
        self.spans = tuple(width for width in (dim, table.shape[1] - dim) if width)
        self.item = SideEncoder(layout.item, dim, linear=linear, pairwise=pairwise)
        self.viewer = SideEncoder(layout.viewer, dim, linear=linear, pairwise=pairwise)
        order = torch.tensor((*layout.item.rows, *layout.viewer.rows), dtype=torch.int64)
        self.register_buffer("order", order, persistent=False)

    def hold_as_bytes(self) -> None:
        """Exchanges the table for its bytes: from here on it can be read, not trained."""
        self.int8 = Int8Rows(self.table, self.spans)
        self.register_parameter("table", None)

    def picked(self, rows: Tensor) -> Tensor:
        """The numbers (n, C, w) of rows (n, C)."""
        return nn.functional.embedding(rows, self.table) if self.int8 is None else self.int8(rows)

    def forward(self, batch: Batch) -> tuple[Seen, Seen]:
        """(item, viewer) of whole rows: one gather, so that the table's gradient is made once."""
        order = self.get_buffer("order")
        picked = self.picked(batch.rows.index_select(1, order))
        item, viewer = torch.split(picked, [len(self.item.columns.rows), len(self.viewer.columns.rows)], 1)
        return self.item(item, batch), self.viewer(viewer, batch)

    def of_item(self, batch: Batch) -> Seen:
        """The item side alone."""
        return self._of(self.item, batch, slice(0, len(self.item.columns.rows)))

    def of_viewer(self, batch: Batch) -> Seen:
        """The viewer side alone."""
        return self._of(self.viewer, batch, slice(len(self.item.columns.rows), None))

    def _of(self, side: SideEncoder, batch: Batch, columns: slice) -> Seen:
        rows = batch.rows.index_select(1, self.get_buffer("order")[columns])
        found: Seen = side(self.picked(rows), batch)
        return found
