"""Small worlds whose truth is known: a logging policy, a target policy, and what each earns.

`World` is the plain one; in the others users leave after a click, rewards come late, or rates move.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.ope.rounds import Rounds

F64 = NDArray[np.float64]
Drawn = dict[str, NDArray[Any]]


class World:
    """Items whose click rates differ by segment and place; places are drawn independently of one another.

    Args:
        segments, places, items: how many.
        kinds: items of a kind have one click rate; 0: every item has its own.
        seed: of rates and policies.

    Attributes:
        logging, target: (segments, places, items) probabilities.
        rate: (segments, places, items) click rates.
    """

    def __init__(self, *, segments: int = 60, places: int = 1, items: int = 5, kinds: int = 0, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        shape = (segments, places, items)
        self.logging = _shares(random.normal(size=shape))
        self.target = _shares(random.normal(size=shape))
        self.rate = random.uniform(0.05, 0.6, size=shape)
        self.kinds = kinds
        if kinds:
            self.rate = self.rate[:, :, np.arange(items) % kinds]

    def value(self, policy: F64) -> float:
        """What a policy earns per request, segments being equally large."""
        return float((policy * self.rate).sum((1, 2)).mean())

    def draw(self, requests: int, seed: int, *, clusters: int | None = None) -> Drawn:
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

    def rounds(self, drawn: Drawn, policy: F64, model: F64) -> Rounds:
        """The estimators' arrays for a policy and any reward model (segments, places, items)."""
        segment, item = drawn["segment"], drawn["item"]
        places = item.shape[1]
        at = (segment[:, None], np.arange(places)[None], item)
        cell = (segment[:, None] * places + np.arange(places)) * self.kinds + item % max(self.kinds, 1)
        return Rounds(
            np.repeat(np.arange(item.shape[0]), places),
            drawn["reward"].ravel(),
            (policy[at] / drawn["propensity"]).ravel(),
            model[at].ravel(),
            (policy * model).sum(2)[segment].ravel(),
            policy[at].ravel(),
            cell.ravel() if self.kinds else None,
        )


class Leaving(World):
    """Position bias: place l is looked at with chance l^-decay, by who is still there; a click ends `leave` of visits.

    So a reward depends on the items above, and only estimators that weight them too are right.
    """

    def __init__(self, *, decay: float = 0.5, leave: float = 0.8, **shape: int) -> None:
        super().__init__(**shape)
        self.leave = leave
        self.rate = self.rate * np.arange(1, self.rate.shape[1] + 1)[:, None] ** -decay

    def value(self, policy: F64) -> float:
        clicked = (policy * self.rate).sum(2)
        still = np.cumprod(1.0 - self.leave * clicked, axis=1)
        return float((clicked * np.c_[np.ones(len(still)), still[:, :-1]]).sum(1).mean())

    def draw(self, requests: int, seed: int, *, clusters: int | None = None) -> Drawn:
        drawn = super().draw(requests, seed, clusters=clusters)
        left = drawn["reward"] * (np.random.default_rng([seed, 1]).random(drawn["reward"].shape) < self.leave)
        gone = np.maximum.accumulate(left, axis=1)
        drawn["reward"][:, 1:] *= 1.0 - gone[:, :-1]
        return drawn


class Late(World):
    """Rewards come after exponential delays, and the log is read `days` after its first request.

    Attributes:
        delay: mean days from a request to its reward.
        days: how long the log has been kept; `age` of a drawn request is how long ago it was.
    """

    delay, days = 2.0, 30.0

    def draw(self, requests: int, seed: int, *, clusters: int | None = None) -> Drawn:
        drawn = super().draw(requests, seed, clusters=clusters)
        random = np.random.default_rng([seed, 2])
        drawn["age"] = random.uniform(0.0, self.days, requests)
        waits = random.exponential(self.delay, drawn["reward"].shape)
        drawn["reward"] = drawn["reward"] * (waits <= drawn["age"][:, None])
        return drawn

    @property
    def arrived(self) -> float:
        """Share of all rewards that the log holds: mean of 1 - exp(-age / delay)."""
        return 1.0 - self.delay / self.days * (1.0 - float(np.exp(-self.days / self.delay)))


class Moving(World):
    """Rates that drift over the log's days from what they were to those of another world; `day` is in 0 … 1."""

    def __init__(self, **shape: int) -> None:
        super().__init__(**shape)
        self.late = np.random.default_rng(shape.get("seed", 0) + 1).uniform(0.2, 0.9, size=self.rate.shape)

    def value_between(self, policy: F64, since: float, until: float) -> float:
        """What a policy earns per request from one time to another: rates move linearly."""
        moved = 0.5 * (since + until)
        return float((policy * ((1.0 - moved) * self.rate + moved * self.late)).sum((1, 2)).mean())

    def value(self, policy: F64) -> float:
        return self.value_between(policy, 0.0, 1.0)

    def draw(self, requests: int, seed: int, *, clusters: int | None = None) -> Drawn:
        drawn = super().draw(requests, seed, clusters=clusters)
        random = np.random.default_rng([seed, 3])
        drawn["day"] = random.random(requests)
        at = (drawn["segment"][:, None], np.arange(self.rate.shape[1])[None], drawn["item"])
        rate = self.rate[at] + drawn["day"][:, None] * (self.late[at] - self.rate[at])
        drawn["reward"] = (random.random(rate.shape) < rate).astype(np.float64)
        return drawn


def some(drawn: Drawn, requests: NDArray[Any]) -> Drawn:
    """Some of the requests, by a mask or in the order of their numbers."""
    return {name: values[requests] for name, values in drawn.items()}


def _shares(scores: F64) -> F64:
    weight = np.exp(scores)
    return np.asarray(weight / weight.sum(-1, keepdims=True))
