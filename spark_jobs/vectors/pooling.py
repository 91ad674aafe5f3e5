"""Blocks of neighbouring numbers, each pooled into one: what an average or max pooling layer over a vector does.

Nothing is learnt, and nothing says that neighbours in a vector belong together: of dense vectors a block's mean is one
random direction among many. These are the two yardsticks that a learnt compressor has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from spark_jobs.vectors.method import Floats, Method


@dataclass(frozen=True)
class Blocks(Method):
    """`starts`: first number of each block, (width,); `size`: numbers of each block, (width,)."""

    starts: NDArray[np.int64]
    size: NDArray[np.int64]

    @classmethod
    def fit(cls, vectors: Floats, width: int, settings: Any) -> Self:
        del settings
        edges = np.arange(width + 1, dtype=np.int64) * vectors.shape[1] // width
        return cls(edges[:-1], np.diff(edges))


class MeanBlocks(Blocks):
    """The mean of each block; the way back gives every number of a block its mean."""

    def encode(self, vectors: Floats) -> Floats:
        return np.asarray(np.add.reduceat(vectors, self.starts, axis=1) / self.size, dtype=np.float32)

    def decode(self, codes: Floats) -> Floats:
        return np.repeat(codes, self.size, axis=1)


class MaxBlocks(Blocks):
    """The largest of each block; there is no way back."""

    def encode(self, vectors: Floats) -> Floats:
        return np.maximum.reduceat(vectors, self.starts, axis=1)
