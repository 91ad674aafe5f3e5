"""A small part of its own on top of a shared model: the shared logit is the offset, a logistic regression corrects it.

The correction is drawn towards nothing by a normal prior on every weight, so a store with few visits keeps the shared
model, and one with many moves away from it as far as its data say (partial pooling; Gelman and Hill, 2007, ch. 12).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from spark_jobs.models.calibration import sigmoid
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Doubles, Examples


@dataclass(frozen=True)
class Correction:
    """Weights of one unit.

    Attributes:
        columns: rows of the embedding table that have a weight, ascending, (m,).
        weights: of the columns, the numbers and the constant, (m + N + 1,).
    """

    encoder: Encoder
    columns: NDArray[np.int64]
    weights: Doubles

    @property
    def parameters(self) -> int:
        return int(self.weights.size)

    @property
    def by_kind(self) -> tuple[Doubles, Doubles, Doubles]:
        """Weights of the columns (m,), of the numbers (N,), and the constant (1,)."""
        values, numbers, constant = np.split(self.weights, [self.columns.size, self.weights.size - 1])
        return values, numbers, constant

    def __call__(self, examples: Examples) -> Doubles:
        """What is added to the shared logit, (n,)."""
        return np.asarray(_design(self.encoder, self.columns, examples) @ self.weights)


def fit_correction(shared: Doubles, examples: Examples, encoder: Encoder, *, strength: float = 1.0) -> Correction:
    """Fits the small part of one unit.

    Context fields (position, display) are left out: a published rank does not know them.

    Args:
        shared: (n,) logits of the shared model on the examples.
        examples: of this unit alone.
        encoder: of the shared model.
        strength: precision of the prior; 1 lets a weight move the log odds by about one.
    """
    known = encoder.known(examples.rows)[:, ~encoder.roles("context")]
    columns = np.unique(known).astype(np.int64)
    design = _design(encoder, columns, examples)
    offset = shared + examples.offset()
    label = examples.label

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        z = offset + design @ weights
        value = float(np.sum(np.logaddexp(0.0, z) - label * z)) + 0.5 * strength * float(weights @ weights)
        return value, np.asarray(design.T @ (sigmoid(z) - label) + strength * weights)

    found = optimize.minimize(
        loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )  # fmt: skip
    return Correction(encoder, columns, np.asarray(found.x, dtype=np.float64))


def _design(encoder: Encoder, columns: NDArray[np.int64], examples: Examples) -> sparse.csr_array:
    """(n, m + N + 1): which values a row has, its numbers as normal scores, and 1."""
    chosen = ~encoder.roles("context")
    known = encoder.known(examples.rows)[:, chosen].astype(np.int64)
    place = np.searchsorted(columns, known)
    there = (place < columns.size) & (columns[np.minimum(place, max(columns.size - 1, 0))] == known)
    line = np.repeat(np.arange(len(examples)), known.shape[1])[there.ravel()]
    shape = (len(examples), columns.size)
    values = sparse.csr_array((np.ones(line.size), (line, place.ravel()[there.ravel()])), shape=shape)
    numbers = encoder.normalised(examples.numbers).astype(np.float64)
    numbers[:, [field.role == "context" for field in encoder.numeric]] = 0.0
    return sparse.csr_array(sparse.hstack([values, sparse.csr_array(np.c_[numbers, np.ones(len(examples))])]))
