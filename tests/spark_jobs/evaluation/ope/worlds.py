"""Small worlds whose truth is known: a logging policy, a target policy, and what each earns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.ope.rounds import Rounds

F64 = NDArray[np.float64]


class World:
    """Items whose click rates differ by segment and place; places are drawn independently of one another.

    Attributes:
        logging, target: (segments, places, items) probabilities.
        rate: (segments, places, items) click rates.
    """

    def __init__(self, *, segments: int = 60, places: int = 1, items: int = 5, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        shape = (segments, places, items)
        self.logging = _shares(random.normal(size=shape))
        self.target = _shares(random.normal(size=shape))
        self.rate = random.uniform(0.05, 0.6, size=shape)

    def value(self, policy: F64) -> float:
        """What a policy earns per request, segments being equally large."""
        return float((policy * self.rate).sum((1, 2)).mean())

    def draw(self, requests: int, seed: int, *, clusters: int | None = None) -> dict[str, NDArray[Any]]:
        """Arrays (requests, places): item, reward, propensity; and (requests,) segment and cluster.

        With `clusters`, the requests of a cluster share their segment and their items, as those of one night's list do.
        """
        random = np.random.default_rng(seed)
        cluster = np.arange(requests) % (clusters or requests)
        segment = random.integers(self.rate.shape[0], size=requests)[cluster]
        uniform = random.random((requests, self.rate.shape[1], 1))[cluster]
        item = (np.cumsum(self.logging[segment], 2) < uniform).sum(2).clip(max=self.rate.shape[2] - 1)
        at = (segment[:, None], np.arange(self.rate.shape[1])[None], item)
        reward = (random.random(item.shape) < self.rate[at]).astype(np.float64)
        return {"cluster": cluster, "segment": segment, "item": item, "reward": reward, "propensity": self.logging[at]}

    def rounds(self, drawn: dict[str, NDArray[Any]], policy: F64, model: F64) -> Rounds:
        """The estimators' arrays for a policy and any reward model (segments, places, items)."""
        segment, item = drawn["segment"], drawn["item"]
        places = item.shape[1]
        at = (segment[:, None], np.arange(places)[None], item)
        return Rounds(
            np.repeat(np.arange(item.shape[0]), places),
            drawn["reward"].ravel(),
            (policy[at] / drawn["propensity"]).ravel(),
            model[at].ravel(),
            (policy * model).sum(2)[segment].ravel(),
        )


def _shares(scores: F64) -> F64:
    weight = np.exp(scores)
    return np.asarray(weight / weight.sum(-1, keepdims=True))
