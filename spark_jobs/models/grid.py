"""The grid: every item for every segment, equal to row-by-row prediction, near the speed of matrix products.

Whatever belongs to the item alone or the segment alone is computed once. Pairwise terms (FM, two towers) are one
matrix product for the whole grid. Of a deep part the first layer is a sum of an item half and a segment half; what
follows runs over the pairs in blocks that stay in the processor's cache, so memory does not grow with the items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.folding import Folded, folded, widest
from spark_jobs.models.ranker import Batch, Part

Doubles = NDArray[np.float64]
BLOCK = 2**18  # numbers of a block, 1 MB: what goes into a layer and what comes out stay in a core's own cache
ITEMS = 8192  # items whose own parts are computed together


def encode(encoder: Encoder, table: pa.Table) -> Batch:
    """A batch of a table's rows; columns it lacks are neutral, unseen values out of vocabulary."""
    return Batch(
        torch.from_numpy(encoder.known(encoder.rows_of(table))),
        torch.from_numpy(encoder.normalised(encoder.numbers_of(table))),
        torch.from_numpy(encoder.vectors_of(table)),
    )


class Grid:
    """Scores items × segments with a checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.encoder = checkpoint.encoder
        self.model = checkpoint.model.eval()
        self.tail = None if self.model.tail is None else folded(self.model.tail)
        self._first = self.tail.taken_over() if isinstance(self.tail, Folded) else None
        self._widest = 0 if self.model.tail is None else widest(self.model.tail)

    def segments(self, segments: Sequence[Mapping[str, str]]) -> Part:
        """The segment side, to be computed once: each segment's field values, fields it does not name are `any`."""
        names = [field.name for field in self.encoder.categorical if field.role == "segment"]
        columns = {name: pa.array([segment.get(name) for segment in segments], pa.string()) for name in names}
        # A schema without segment fields still has its segments: they are all alike.
        table = pa.table({"_": pa.nulls(len(segments)), **columns})
        with torch.inference_mode():
            return self.model.segment_part(encode(self.encoder, table))

    def score(self, items: pa.Table, segments: Sequence[Mapping[str, str]] | Part) -> Doubles:
        """Calibrated probabilities (n items, k segments).

        Args:
            items: columns named as the schema's item fields; context columns are ignored, a published rank knows none.
            segments: field values of each segment, or what `segments()` gave.
        """
        return self.checkpoint.calibration(self.logits(items, segments))

    def logits(self, items: pa.Table, segments: Sequence[Mapping[str, str]] | Part) -> Doubles:
        """The network's logits (n, k), uncalibrated."""
        part = segments if isinstance(segments, Part) else self.segments(segments)
        found = np.empty((items.num_rows, len(part.bias)), dtype=np.float64)
        for start in range(0, items.num_rows, ITEMS):
            rows = items.slice(start, ITEMS)
            found[start : start + rows.num_rows] = self.pairs(encode(self.encoder, rows), part)
        return found

    def pairs(self, items: Batch, segments: Part) -> Doubles:
        """Logits (n, k) of encoded items."""
        with torch.inference_mode():
            part = self.model.item_part(items)
            found = part.bias[:, None] + segments.bias[None, :]
            if part.vector is not None and segments.vector is not None:
                found.addmm_(part.vector, segments.vector.T)
            if self.tail is not None and part.hidden is not None and segments.hidden is not None:
                self._deep(found, part.hidden, segments.hidden)
            return np.asarray(found.double().numpy())

    def some(self, items: pa.Table, segments: Part, chosen: NDArray[np.bool_]) -> Doubles:
        """Logits of chosen pairs alone, in the order of `chosen` (n items, k segments) read row by row."""
        found = np.empty(int(chosen.sum()), dtype=np.float64)
        done = 0
        wanted = np.flatnonzero(chosen.any(1))
        with torch.inference_mode():
            for block in _spans(len(wanted), ITEMS):
                rows = wanted[block]
                part = self.model.item_part(encode(self.encoder, items.take(pa.array(rows))))
                pairs = np.nonzero(chosen[rows])
                step = 1 + BLOCK // max(self._widest, 1 if part.hidden is None else part.hidden.shape[1])
                for piece in _spans(len(pairs[0]), step):
                    i, s = (torch.from_numpy(side[piece]) for side in pairs)
                    found[done : done + len(i)] = self._pairwise(part, segments, i, s).double().numpy()
                    done += len(i)
        return found

    def _pairwise(self, items: Part, segments: Part, i: Tensor, s: Tensor) -> Tensor:
        """Logits (m,) of items i with segments s."""
        found = items.bias[i] + segments.bias[s]
        if items.vector is not None and segments.vector is not None:
            found += (items.vector[i] * segments.vector[s]).sum(1)
        if self.tail is not None and items.hidden is not None and segments.hidden is not None:
            hidden = items.hidden[i] + segments.hidden[s]
            if self._first is not None:
                scale, shift = self._first
                hidden.mul_(scale).add_(shift)
            found += self.tail(hidden).squeeze(1)
        return found

    def _deep(self, found: Tensor, items: Tensor, segments: Tensor) -> None:
        """Adds the tail to logits (n, k), block by block."""
        n, k = found.shape
        if not n or not k:
            return
        assert self.tail is not None
        if self._first is not None:
            scale, shift = self._first
            items, segments = items * scale + shift, segments * scale
        # Blocks are a few items by all segments, or one item by a part of the segments where those are many.
        pairs = max(1, BLOCK // max(self._widest, items.shape[1]))
        wide = min(k, pairs)
        tall = max(1, pairs // wide)
        buffer = items.new_empty(tall * wide, items.shape[1])
        for rows in _spans(n, tall):
            for columns in _spans(k, wide):
                a, b = items[rows], segments[columns]
                hidden = buffer[: len(a) * len(b)]
                torch.add(a[:, None, :], b[None, :, :], out=hidden.view(len(a), len(b), -1))
                found[rows, columns] += self.tail(hidden).view(len(a), len(b))


def _spans(total: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, total)) for start in range(0, total, step))
