"""Estimators of whole lists: what a reward may depend on decides which places' weights are multiplied.

The value is the sum of the rewards of a list. All but `iips` multiply the weights of places, which is exact where a
row's propensity and probability are given the places above it, or where places are drawn independently.
"""

from __future__ import annotations

import numpy as np

from spark_jobs.evaluation.ope.rounds import F64, I64, Rounds, Terms, per_request


def iips(rounds: Rounds, _: float = np.inf) -> Terms:
    """Independent: a reward depends on its own item and place only (Li et al., KDD 2018)."""
    return per_request(rounds, rounds.weight * rounds.reward, rounds.weight)


def rips(rounds: Rounds, _: float = np.inf) -> Terms:
    """Reward interaction: it depends on the places above too, weight Π_{l' ≤ l} w (McInerney et al., KDD 2020)."""
    weight = _down_to(rounds, _depth(rounds))
    return per_request(rounds, weight * rounds.reward, weight)


def ips(rounds: Rounds, _: float = np.inf) -> Terms:
    """Standard: a reward may depend on the whole list, weight Π_l w (Precup, Sutton and Singh, ICML 2000)."""
    whole = _down_to(rounds, _depth(rounds))[_last(rounds)]
    return Terms(((whole * rounds.total(rounds.reward), np.ones(rounds.requests)),), whole)


def cascade_dr(rounds: Rounds, _: float = np.inf) -> Terms:
    """`rips` made doubly robust, Σ_l Π_{l' < l} w · Σ π · Q + Π_{l' ≤ l} w · (r - Q) (Kiyohara et al., WSDM 2022).

    Q, what the place and those below it are worth, is the model's q of the place and the mean of Σ π · q over all lists
    for those below: any Q leaves the estimate unbiased, a good one takes noise away.
    """
    depth = _depth(rounds)
    weight = _down_to(rounds, depth)
    above = np.where(depth == 0, 1.0, np.roll(weight, 1))
    level = np.bincount(depth, rounds.expected) / rounds.requests
    below = (level.sum() - np.cumsum(level))[depth]
    correction = weight * (rounds.reward - rounds.predicted - below)
    return per_request(rounds, above * (rounds.expected + below) + correction, weight)


def _last(rounds: Rounds) -> I64:
    return np.flatnonzero(np.r_[rounds.request[1:] != rounds.request[:-1], True])


def _depth(rounds: Rounds) -> I64:
    """(rows,) how many rows of its request stand above each row."""
    first = np.r_[0, _last(rounds)[:-1] + 1]
    return np.asarray(np.arange(rounds.request.size) - first[rounds.request])


def _down_to(rounds: Rounds, depth: I64) -> F64:
    """(rows,) product of the weights of a request's places down to each row."""
    product = rounds.weight.copy()
    for each in range(1, int(depth.max()) + 1):
        at = np.flatnonzero(depth == each)
        product[at] *= product[at - 1]
    return product
