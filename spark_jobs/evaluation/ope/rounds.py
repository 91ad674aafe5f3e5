"""The arrays every off-policy estimator works on, and what an estimator answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Rounds:
    """A log beside the policy to judge; the rows of a request stand together, its places in order.

    Attributes:
        request: (rows,) number of the row's request, 0 … requests - 1, ascending.
        reward: (rows,) what the shown item earned.
        weight: (rows,) π(item at its place) / propensity of the log.
        predicted: (rows,) the reward model's q of the shown item.
        expected: (rows,) Σ over items of π · q at the row's place.
        chance: (rows,) π(item at its place), for `replay`; None: the log shows everything equally often, so that
            weights will do.
        cell: (rows,) number of the row's context, place and embedding, for `mips`; None: every item is its own kind.
    """

    request: I64
    reward: F64
    weight: F64
    predicted: F64
    expected: F64
    chance: F64 | None = None
    cell: I64 | None = None

    @property
    def requests(self) -> int:
        """How many requests."""
        return int(self.request[-1]) + 1

    def total(self, rows: F64) -> F64:
        """(requests,) sum over the places of each request."""
        return np.asarray(np.bincount(self.request, rows, self.requests), dtype=np.float64)

    def mean(self, rows: F64) -> F64:
        """(requests,) mean over the places of each request."""
        return self.total(rows) / np.bincount(self.request, minlength=self.requests)


@dataclass(frozen=True)
class Terms:
    """An estimate as a sum of ratios, Σ_k Σ numerator_k / Σ denominator_k, and the weights behind it.

    Attributes:
        ratios: pairs of (requests,) arrays.
        weights: what rewards were multiplied with, for the effective sample size; None where nothing was weighted.
    """

    ratios: tuple[tuple[F64, F64], ...]
    weights: F64 | None


def per_request(rounds: Rounds, rows: F64, weights: F64 | None) -> Terms:
    """The plain mean over requests of a sum over places."""
    return Terms(((rounds.total(rows), np.ones(rounds.requests)),), weights)
