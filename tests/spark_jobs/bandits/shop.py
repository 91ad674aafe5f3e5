"""A shop whose click rates are known: pages sorted every night, clicks that come late, tastes that move, places that
are looked at less. What a bandit loses against the best pages is its regret."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.bandits.contract import Bandit, Belief
from spark_jobs.bandits.finals import list_order
from spark_jobs.bandits.linear import linear_belief

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Shop:
    """Independent lists of arms, all of them shown every night.

    Attributes:
        lists, arms: how many lists, and arms in each.
        places: of a page, the first of its list.
        visits: of each list and night.
        position_decay: place r is looked at with probability r ** -position_decay.
        delay: mean nights from an impression to its click, 0: the same night.
        drift: share of the arms that get another click rate every night.
        brands: of each list; arms of a brand have rates alike. 0: no arm tells of another.
        seed: of everything random.
    """

    lists: int = 20
    arms: int = 100
    places: int = 10
    visits: int = 100
    position_decay: float = 0.0
    delay: float = 0.0
    drift: float = 0.0
    brands: int = 0
    seed: int = 0

    def regret(
        self,
        bandit: Bandit,
        *,
        nights: int,
        strength: float = 40.0,
        prior: float = 0.05,
        half_life: float | None = None,
        knows_delay: bool = True,
        knows_places: bool = True,
    ) -> F64:
        """(nights, lists) clicks expected of the best page less those expected of the bandit's.

        Args:
            bandit: who sorts.
            nights: how many.
            strength: impressions that the prior rate is worth.
            prior: click rate believed of every arm at first.
            half_life: nights in which evidence loses half its weight.
            knows_delay: a fresh impression counts as far as its click may have come.
            knows_places: an impression counts as far as its place is looked at.
        """
        truth, random = np.random.default_rng([self.seed, 1]), np.random.default_rng([self.seed, 2])
        n = self.lists * self.arms
        lists = np.repeat(np.arange(self.lists), self.arms)
        brand = lists * self.brands + truth.integers(0, max(1, self.brands), n)
        level = truth.beta(2.0, 38.0, self.lists * self.brands)[brand] if self.brands else None
        features = np.eye(self.lists * self.brands)[brand] if bandit.linear else None
        rate = _rates(truth, n, level)
        looked = np.arange(1, self.places + 1) ** -self.position_decay
        come = 1.0 - np.exp(-1.0 / self.delay) if self.delay else 1.0
        keep = 0.5 ** (1.0 / half_life) if half_life else 1.0
        # What has not come yet fades as well: of a night's clicks the late ones are as old as the early ones.
        shown, fresh, clicks = np.zeros(n), np.zeros(n), np.zeros(n)
        pending: list[NDArray[np.int64]] = []
        lost = np.empty((nights, self.lists))
        for night in range(nights):
            impressions = shown - fresh if knows_delay else shown
            if features is None:
                belief = Belief.of(np.full(n, prior), strength, impressions=impressions, clicks=clicks)
            else:
                belief = linear_belief(
                    np.full(n, prior), strength, impressions=impressions, clicks=clicks, features=features, shared=0.8
                )
            drawn = bandit.draw(belief, np.clip(random.random(n), 1e-16, None), lists=lists)
            # Ties by chance: by rows, every list would be explored in the same order.
            mixed = random.permutation(n)
            order = mixed[list_order(drawn[mixed], lists[mixed])].reshape(self.lists, self.arms)
            page = order[:, : self.places]
            best = -np.sort(-rate.reshape(self.lists, self.arms), axis=1)[:, : self.places]
            lost[night] = self.visits * ((best - rate[page]) * looked).sum(axis=1)
            new = np.zeros(n)
            new[page] = self.visits * (looked if knows_places else 1.0)
            clicked = np.zeros(n, dtype=np.int64)
            clicked[page] = random.binomial(self.visits, rate[page] * looked)
            shown, clicks = keep * shown + new, keep * clicks
            fresh = (keep * fresh + new) * (1.0 - come)
            pending.append(clicked)
            for age, waiting in enumerate(reversed(pending)):
                arrived = random.binomial(waiting, come)
                waiting[:] -= arrived
                clicks += keep**age * arrived
            pending = pending[-int(10 * self.delay + 1) :]
            moved = truth.random(n) < self.drift
            rate = np.where(moved, _rates(truth, n, level), rate)
        return lost


def _rates(random: np.random.Generator, count: int, level: F64 | None) -> F64:
    if level is None:
        return random.beta(2.0, 38.0, count)
    return np.asarray(np.minimum(0.6, level * np.exp(random.normal(0.0, 0.3, count))))
