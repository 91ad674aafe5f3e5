"""Principal components: the plane that loses least (Pearson 1901), by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.decomposition import PCA

from spark_jobs.vectors.method import Floats, Method
from spark_jobs.vectors.settings import Seeded


def principal_axes(vectors: Floats, width: int, *, seed: int) -> Floats:
    """The first principal axes (d, width) of centred vectors (n, d); axes that they cannot fill are zero."""
    axes = np.zeros((vectors.shape[1], width), dtype=np.float32)
    found = min(width, *vectors.shape)
    if vectors.any():
        components = PCA(n_components=found, random_state=seed).fit(vectors.astype(np.float64)).components_
        axes[:, :found] = components.T
    return axes


@dataclass(frozen=True)
class PrincipalComponents(Method):
    """`axes`: (d, width), orthonormal columns."""

    axes: Floats

    @classmethod
    def fit(cls, vectors: Floats, width: int, settings: Seeded) -> Self:
        return cls(principal_axes(vectors, width, seed=settings.seed))

    def encode(self, vectors: Floats) -> Floats:
        return vectors @ self.axes

    def decode(self, codes: Floats) -> Floats:
        return codes @ self.axes.T
