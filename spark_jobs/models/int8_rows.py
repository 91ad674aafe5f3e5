"""Embedding rows held as bytes, for scoring: Guan et al., "Post-Training 4-bit Quantization on Embedding Tables", 2019.

A row's embedding v is kept as round(v / s) in -127 … 127 with s = max|v| / 127, so a number is off by at most s / 2.
What stands behind the embedding (a linear weight, or a vector of them) has a scale of its own: it is many times as
large. Only the rows a block asks for become numbers again, and the grid and row-by-row prediction read the same ones.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from segments.errors import UsageError

if TYPE_CHECKING:
    from spark_jobs.models.checkpoint import Checkpoint
    from spark_jobs.models.ranker import Ranker
    from spark_jobs.models.sides import Sides

MOST = 127


class Int8Rows(nn.Module):
    """A table (rows, width) as bytes and a scale a row and span; never trained.

    Args:
        table: what to hold.
        spans: widths of the parts of a row that have a scale each; they add up to the width.
    """

    def __init__(self, table: Tensor, spans: tuple[int, ...]) -> None:
        super().__init__()
        parts = torch.split(table.detach(), list(spans), 1)
        scales = torch.stack([part.abs().amax(1) for part in parts], dim=1) / MOST
        # A row of zeros divides by one, not by zero.
        divisors = torch.where(scales > 0, scales, 1.0).repeat_interleave(torch.tensor(spans), dim=1)
        self.register_buffer("codes", (table.detach() / divisors).round().to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("span", torch.repeat_interleave(torch.tensor(spans)), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """The numbers (…, width) of rows (…)."""
        index = rows.long()
        scales = self.get_buffer("scales")[index]
        return self.get_buffer("codes")[index] * scales[..., self.get_buffer("span")]


def shrunken(network: Ranker) -> Ranker:
    """A copy of a network whose table is held as bytes.

    Raises:
        UsageError: its rows are no embeddings, so bytes would save nothing.
    """
    if not has_embeddings(network):
        raise UsageError(f"{type(network).__name__} has no embedding rows to hold as bytes", hint="rows: float32")
    found = copy.deepcopy(network)
    for sides in _sides(found):
        sides.hold_as_bytes()
    return found


def as_bytes(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with rows of bytes, for scoring alone; one that has them already as it is."""
    if holds_bytes(checkpoint.model):
        return checkpoint
    return replace(checkpoint, model=shrunken(checkpoint.model).eval(), state={})


def has_embeddings(network: Ranker) -> bool:
    """Whether a network has a table of embeddings to hold as bytes: not of lone weights, and not trees."""
    return any(sides.table.shape[1] > 1 for sides in _sides(network))


def holds_bytes(network: nn.Module) -> bool:
    """Whether a network's rows are bytes."""
    return any(isinstance(module, Int8Rows) for module in network.modules())


def _sides(network: nn.Module) -> list[Sides]:
    # By what they can do, not by their class: its module imports this one. An ensemble has several.
    return [cast("Sides", module) for module in network.modules() if hasattr(module, "hold_as_bytes")]
