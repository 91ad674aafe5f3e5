"""Vectors to publish: an index keeps the items', a store the segments' or people's, and a dot product ranks.

logit(i, s) = <item_i, segment_s> + item_bias_i + segment_bias_s, the grid's own logit. For an engine that knows dot
products only, put the item's bias behind its vector and a 1 behind the segment's; the segment's bias changes no order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from segments.errors import UsageError
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.grid import ITEMS, Grid, encode

Floats = NDArray[np.float32]


class Vectors(NamedTuple):
    """item (n, d), segment (k, d), item_bias (n,), segment_bias (k,); all float32."""

    item: Floats
    segment: Floats
    item_bias: Floats
    segment_bias: Floats

    def logits(self) -> Floats:
        """(n, k), as the grid has them."""
        return np.asarray(self.item @ self.segment.T + self.item_bias[:, None] + self.segment_bias[None, :])


def export(checkpoint: Checkpoint, items: pa.Table, segments: Sequence[Mapping[str, str]]) -> Vectors:
    """Vectors and biases of items and segments.

    Args:
        checkpoint: of a model whose sides meet in a dot product alone: two_tower, fm.
        items: columns named as the schema's item fields.
        segments: field values of each segment; fields it does not name are `any`.

    Raises:
        UsageError: the model has a deep part over both sides, or no vectors.
    """
    grid = Grid(checkpoint)
    viewers = grid.segments(segments)
    kind = checkpoint.settings.kind
    if checkpoint.model.tail is not None or viewers.vector is None:
        raise UsageError(f"a {kind} is no dot product of two vectors", where="model", hint="train a two_tower")
    vectors, biases = [np.zeros((0, viewers.vector.shape[1]), dtype=np.float32)], [np.zeros(0, dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, items.num_rows, ITEMS):
            part = checkpoint.model.item_part(encode(checkpoint.encoder, items.slice(start, ITEMS)))
            assert part.vector is not None
            vectors.append(part.vector.numpy())
            biases.append(part.bias.numpy())
        segment, segment_bias = viewers.vector.numpy(), viewers.bias.numpy()
    return Vectors(np.concatenate(vectors), segment, np.concatenate(biases), segment_bias)
