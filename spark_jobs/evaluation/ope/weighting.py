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


def mips(rounds: Rounds, _: float = np.inf) -> Terms:
    """Marginalised, mean of w(x, e) · r, w(x, e) the mean weight of an embedding (Saito and Joachims, ICML 2022).

    The mean is over the log's own rows of a cell (context, place, embedding): their E[w | x, e], with counts for
    π₀(a | x, e). Unbiased where a reward hangs on the item through its embedding alone. The mean is noisy itself, which
    belongs into the interval: to first order a row adds w(x, e) · r + (w - w(x, e)) · r(x, e), the second part of which
    sums to 0.
    """
    cell = np.arange(rounds.weight.size) if rounds.cell is None else rounds.cell
    rows = np.maximum(np.bincount(cell), 1)
    weight = (np.bincount(cell, rounds.weight) / rows)[cell]
    reward = (np.bincount(cell, rounds.reward) / rows)[cell]
    return per_request(rounds, weight * rounds.reward + (rounds.weight - weight) * reward, weight)


def replay(rounds: Rounds, _: float = np.inf) -> Terms:
    """Mean reward where the log shows what the policy would, Σ π · r / Σ π (Li, Chu, Langford and Wang, WSDM 2011).

    Theirs plays the policy against the log and keeps what agrees; this is its expectation. Right where the log shows
    everything equally often: propensities are not looked at.
    """
    chance = rounds.weight if rounds.chance is None else rounds.chance
    return Terms(((rounds.total(chance * rounds.reward), rounds.mean(chance)),), chance)
