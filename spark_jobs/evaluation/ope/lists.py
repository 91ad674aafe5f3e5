"""Estimators of whole lists: what a reward may depend on decides which places' weights are multiplied.

The value is the sum of the rewards of a list. `rips` and `ips` multiply the weights of places, which is exact where a
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
    weight = _down_to(rounds)
    return per_request(rounds, weight * rounds.reward, weight)


def ips(rounds: Rounds, _: float = np.inf) -> Terms:
    """Standard: a reward may depend on the whole list, weight Π_l w (Precup, Sutton and Singh, ICML 2000)."""
    whole = _down_to(rounds)[_last(rounds)]
    return Terms(((whole * rounds.total(rounds.reward), np.ones(rounds.requests)),), whole)


def _last(rounds: Rounds) -> I64:
    return np.flatnonzero(np.r_[rounds.request[1:] != rounds.request[:-1], True])


def _down_to(rounds: Rounds) -> F64:
    """(rows,) product of the weights of a request's places down to each row."""
    product = rounds.weight.copy()
    first = np.r_[0, _last(rounds)[:-1] + 1]
    place = np.arange(product.size) - first[rounds.request]
    for depth in range(1, int(place.max()) + 1):
        at = np.flatnonzero(place == depth)
        product[at] *= product[at - 1]
    return product
