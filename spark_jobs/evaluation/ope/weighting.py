"""Estimators that only weight: unbiased where propensities are right, and as noisy as their largest weights."""

from __future__ import annotations

import numpy as np

from spark_jobs.evaluation.ope.rounds import Rounds, Terms, per_request


def ipw(rounds: Rounds, clip: float = np.inf) -> Terms:
    """Inverse propensity weighting, mean of w · r (Horvitz and Thompson, 1952; Strehl et al., NeurIPS 2010).

    With a finite `clip`, min(w, clip) · r: less noise, bias towards 0 (Ionides, 2008).
    """
    weight = np.minimum(rounds.weight, clip)
    return per_request(rounds, weight * rounds.reward, weight)


def snipw(rounds: Rounds, _: float = np.inf) -> Terms:
    """Self-normalised, Σ w · r / Σ w (Swaminathan and Joachims, NeurIPS 2015): never above the largest reward."""
    return Terms(
        ((rounds.total(rounds.weight * rounds.reward), rounds.mean(rounds.weight)),),
        rounds.weight,
    )
