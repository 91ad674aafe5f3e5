"""A shop whose lures are known, and the best that anybody could tell from what it shows: Bayes' rule with the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, logit

from spark_jobs.lures.context import Traits
from spark_jobs.lures.judge import Items
from spark_jobs.lures.label_model import UNKNOWN

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Rate of honest items and of lures, and the precision of both.
CLICKED, FULL_PRICE, OUTSIDE = (0.05, 0.15, 30.0), (0.7, 0.3, 20.0), (0.3, 0.5, 20.0)
FOLLOWED, FOLLOWED_PRECISION = 0.12, 30.0  # of what follows an honest item's click
MARKED = (0.02, 0.3)
BRANDS, LISTS = 20, 8


class LureWorld:
    """Cheap items, and those of some brands, are likelier lures; every sign of one is a count.

    Args:
        seed: of everything.
        items: how many.
        share: of lures, about.
        shown: impressions of an item, on average.
    """

    def __init__(self, seed: int, *, items: int = 4000, share: float = 0.02, shown: float = 1500.0) -> None:
        r = np.random.default_rng(seed)
        self.lists = r.integers(0, LISTS, items)
        self.brands = r.integers(0, BRANDS, items)
        dear = r.normal(0.0, 1.0, items)
        log_odds = -dear + r.normal(0.0, 1.0, BRANDS)[self.brands]
        low, high = -20.0, 20.0
        for _ in range(60):  # the level at which the mean is the share
            level = (low + high) / 2
            low, high = (level, high) if share and expit(level + log_odds).mean() < share else (low, level)
        prior = level + log_odds
        self.lure: Mask = r.random(items) < expit(prior)
        self.price = np.exp(3.0 + 0.8 * dear)
        usual = np.linspace(0.25, 0.6, LISTS)[self.lists]
        rates = {
            "clicked": (np.full(items, CLICKED[0]), np.full(items, CLICKED[1]), CLICKED[2]),
            "followed": (usual, FOLLOWED * usual, FOLLOWED_PRECISION),
            "full_price": (np.full(items, FULL_PRICE[0]), np.full(items, FULL_PRICE[1]), FULL_PRICE[2]),
            "outside": (np.full(items, OUTSIDE[0]), np.full(items, OUTSIDE[1]), OUTSIDE[2]),
        }
        impressions = np.ceil(r.gamma(2.0, shown / 2.0, items))
        odds = prior.copy()

        def happens(name: str, trials: F64) -> F64:
            honest, lures, precision = rates[name]
            mean = np.where(self.lure, lures, honest)
            hits = r.binomial(trials.astype(np.int64), r.beta(mean * precision, (1.0 - mean) * precision)).astype(float)
            odds[:] += _log_likelihood(hits, trials, lures, precision)
            odds[:] -= _log_likelihood(hits, trials, honest, precision)
            return np.asarray(hits)

        clicks = happens("clicked", impressions)
        sold = r.binomial(clicks.astype(np.int64), 0.1).astype(float)
        self.counts: dict[str, F64] = {
            "impressions": impressions, "clicks": clicks, "judged": clicks, "followed": happens("followed", clicks),
            "sold": sold, "full_price": happens("full_price", sold),
            "drawn": clicks, "outside": happens("outside", clicks),
        }  # fmt: skip
        marked = r.random(items) < np.where(self.lure, MARKED[1], MARKED[0])
        odds += np.where(marked, logit(MARKED[1]) - logit(MARKED[0]), 0.0) + np.log((1 - MARKED[1]) / (1 - MARKED[0]))
        odds += np.where(marked, np.log((1 - MARKED[0]) / (1 - MARKED[1])), 0.0)
        self.titles = [f"thing {i}" + (" free gift" if mark else "") for i, mark in enumerate(marked)]
        self.optimal: F64 = expit(odds)

    def items(self, labels: NDArray[np.int64] | None = None) -> Items:
        """What a judge is given."""
        n = self.lists.size
        traits = Traits(self.lists, self.brands, self.price, np.full(n, np.nan))
        return Items(traits, self.titles, self.counts, np.full(n, UNKNOWN) if labels is None else labels)


def found(probability: F64, lure: Mask, threshold: float) -> dict[str, Any]:
    """How many are called lures, how many are, and how many both."""
    called = probability >= threshold
    return {"called": int(called.sum()), "lures": int(lure.sum()), "both": int((called & lure).sum())}


def _log_likelihood(hits: F64, trials: F64, mean: F64, precision: float) -> F64:
    a, b = mean * precision, (1.0 - mean) * precision
    return np.asarray(betaln(a + hits, b + trials - hits) - betaln(a, b))
