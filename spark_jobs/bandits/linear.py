"""What items with like features tell about one another: a belief for arms nobody has seen.

The click rate of an arm is its prior p plus sqrt(p (1 − p)) · (own + f · w): something of its own, and something that
its features f share with other arms. Both are normal around 0, together worth `strength` impressions as in the Beta
belief: variance (1 − shared) / strength of the first, shared / strength · |f|² of the second. Given impressions and
clicks the posterior is exact (Bayesian regression with random effects: Laird and Ware, Biometrics 38, 1982; LinUCB's
hybrid model, Li et al., WWW 2010, is of this kind). With shared = 0 it is the Beta belief's mean and evidence, and an
arm without any history has variance p (1 − p) / strength, whatever the strength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken
from segments.hashing import U64, stir
from spark_jobs.bandits.contract import F64, Belief

BLOCK = 1 << 16
LEAST = 1e-9


@dataclass(frozen=True)
class Regression:
    """What the arms' history says of the shared weights.

    Attributes:
        precision: (d, d) of the weights, the prior's included.
        moment: (d,) precision times their mean.
    """

    precision: F64
    moment: F64

    @classmethod
    def prior(cls, width: int, strength: float, *, shared: float) -> Regression:
        """Nothing seen: weights of variance shared / strength."""
        return cls(np.eye(width) * (strength / shared), np.zeros(width))

    def seen(self, features: F64, residual: F64, weight: F64) -> Regression:
        """With more arms: residuals (n,) of the given weights (n,), features (n, d)."""
        precision, moment = self.precision.copy(), self.moment.copy()
        for start in range(0, residual.size, BLOCK):
            rows = slice(start, start + BLOCK)
            weighted = features[rows] * weight[rows, None]
            precision += weighted.T @ features[rows]
            moment += weighted.T @ residual[rows]
        return Regression(precision, moment)

    def told(self, features: F64) -> tuple[F64, F64]:
        """(n,) mean and variance of f · w."""
        lower = np.linalg.cholesky(self.precision)
        inverse = np.linalg.inv(lower)
        weights = inverse.T @ (inverse @ self.moment)
        variance = np.empty(len(features))
        for start in range(0, len(features), BLOCK):
            rows = slice(start, start + BLOCK)
            variance[rows] = np.square(features[rows] @ inverse.T).sum(axis=1)
        return np.asarray(features @ weights), variance


def linear_belief(
    prior: F64, strength: float, *, impressions: F64, clicks: F64, features: F64, shared: float = 0.5
) -> Belief:
    """The belief of each arm, given what it and its likes have done.

    Args:
        prior: (n,) the model's calibrated pCTR.
        strength: impressions the prior is worth, above 0.
        impressions: (n,) seen since; a click without one counts as one.
        clicks: (n,) of these.
        features: (n, d) rows of length 1, or 0 of an arm without any (`hashed_features`).
        shared: 0 … 1, the part of the prior's doubt that arms of like features have in common.

    Raises:
        ContractBroken: counts or priors that `Belief.of` refuses, or features that are not finite.
    """
    own = Belief.of(prior, strength, impressions=impressions, clicks=clicks)
    if shared == 0:
        return own
    if features.shape[0] != own.mean.size or not np.isfinite(features).all():
        raise ContractBroken("features must be finite, one row an arm")
    p = np.clip(prior, LEAST, 1.0 - LEAST)
    scale = np.sqrt(p * (1.0 - p))
    n = own.evidence - strength
    residual = np.divide(clicks - n * p, n * scale, out=np.zeros_like(p), where=n > 0)
    # What an arm without features cannot share is its own: nobody's doubt is less than the prior's.
    variance_own = (1.0 - shared * np.square(features).sum(axis=1)) / strength
    regression = Regression.prior(features.shape[1], strength, shared=shared)
    told, doubt = regression.seen(features, residual, n / (1.0 + n * variance_own)).told(features)
    # Of the arm's own rate against what its features say.
    trust = n * variance_own / (1.0 + n * variance_own)
    mean = p + scale * (trust * residual + (1.0 - trust) * told)
    variance = variance_own / (1.0 + n * variance_own) + (1.0 - trust) ** 2 * doubt
    return Belief(np.clip(mean, LEAST, 1.0 - LEAST), 1.0 / np.maximum(variance, LEAST / strength))


def hashed_features(columns: list[U64], width: int) -> F64:
    """(n, width) rows of length 1: each column's value adds ±1 in one of `width` places.

    Feature hashing (Weinberger et al., ICML 2009): values never seen before have their place as well.

    Args:
        columns: at least one, the hashes of its values (n,), of `segments.hashing`.
        width: places.
    """
    rows = np.arange(columns[0].size)
    features = np.zeros((rows.size, width))
    for number, column in enumerate(columns):
        mixed = stir(column, number)
        place: NDArray[np.int64] = (mixed % np.uint64(width)).astype(np.int64)
        features[rows, place] += np.where(mixed >> np.uint64(63), 1.0, -1.0)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(np.divide(features, length, out=np.zeros_like(features), where=length > 0))
