"""UMAP (McInnes, Healy and Melville 2018) of a sample, where the library is installed.

Its own model can only be kept as a pickle. Kept here are the sample and its codes: any vector takes the mean of the
codes of the vectors it lies among, the nearer the more, which is also where UMAP's own transform begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.neighbors import NearestNeighbors

from segments.errors import MissingExtra
from spark_jobs.vectors.method import Floats, Method
from spark_jobs.vectors.settings import UmapSettings

AMONG = 5


@dataclass(frozen=True)
class Umap(Method):
    """`sample`: vectors (s, d); `codes`: theirs, (s, width)."""

    sample: Floats
    codes: Floats

    @classmethod
    def fit(cls, vectors: Floats, width: int, settings: UmapSettings) -> Self:
        try:
            from umap import UMAP
        except ModuleNotFoundError as error:
            told = "this needs umap-learn, which is not installed"
            raise MissingExtra(told, hint="pip install umap-learn") from error
        sample = vectors[:: max(1, len(vectors) // settings.sample)]
        found = UMAP(
            n_components=width, n_neighbors=min(settings.neighbours, len(sample) - 1), random_state=settings.seed,
            n_jobs=1,
        ).fit_transform(sample)  # fmt: skip
        return cls(sample, np.asarray(found, dtype=np.float32))

    def encode(self, vectors: Floats) -> Floats:
        if not len(vectors):
            return np.zeros((0, self.codes.shape[1]), dtype=np.float32)
        near = NearestNeighbors(n_neighbors=min(AMONG, len(self.sample)), algorithm="brute").fit(self.sample)
        distance, at = near.kneighbors(vectors)
        weight = 1.0 / np.maximum(distance, 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("nk,nkw->nw", weight, self.codes[at]), dtype=np.float32)
