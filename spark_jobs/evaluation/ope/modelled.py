"""Estimators that use a reward model q: alone, or corrected by the weighted errors it makes on the log."""

from __future__ import annotations

import numpy as np

from spark_jobs.evaluation.ope.rounds import F64, Rounds, Terms, per_request


def dm(rounds: Rounds, _: float = np.inf) -> Terms:
    """Direct method, mean of Σ π · q (Beygelzimer and Langford, KDD 2009): as biased as the model, hardly noisy."""
    return per_request(rounds, rounds.expected, None)


def dr(rounds: Rounds, _: float = np.inf) -> Terms:
    """Doubly robust, Σ π · q + w · (r - q) (Dudík, Langford and Li, ICML 2011)."""
    return _corrected(rounds, rounds.weight)


def sndr(rounds: Rounds, _: float = np.inf) -> Terms:
    """Doubly robust with a self-normalised correction, Σ w · (r - q) / Σ w (Thomas and Brunskill, ICML 2016)."""
    correction = rounds.total(rounds.weight * (rounds.reward - rounds.predicted))
    return Terms(
        ((rounds.total(rounds.expected), np.ones(rounds.requests)), (correction, rounds.mean(rounds.weight))),
        rounds.weight,
    )


def switch_dr(rounds: Rounds, threshold: float) -> Terms:
    """Doubly robust where w ≤ threshold, the model alone elsewhere (Wang, Agarwal and Dudík, ICML 2017)."""
    return _corrected(rounds, np.where(rounds.weight <= threshold, rounds.weight, 0.0))


def dr_os(rounds: Rounds, strength: float) -> Terms:
    """Doubly robust with optimistic shrinkage, ŵ = λ · w / (w² + λ) (Su et al., ICML 2020); λ = ∞ is `dr`."""
    weight = rounds.weight
    return _corrected(rounds, weight if np.isinf(strength) else strength * weight / (weight**2 + strength))


def _corrected(rounds: Rounds, weight: F64) -> Terms:
    return per_request(rounds, rounds.expected + weight * (rounds.reward - rounds.predicted), weight)
