"""Planted lures are found, honest items are left in peace, few data accuse nobody, and idle rules are not believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from segments.errors import ContractBroken
from spark_jobs.lures.label_model import UNKNOWN, agreement, fit_label_model
from spark_jobs.lures.rules import CLICKED, FOLLOWED, FULL_PRICE, OUTSIDE

SETTINGS: dict[str, Any] = {"share": 0.02, "drop": 0.3}
RULES = (FOLLOWED, CLICKED)


class Shop:
    """Items whose clicks are followed at a rate that scatters by list and item; lures' hardly ever."""

    def __init__(self, seed: int, *, items: int = 4000, share: float = 0.02, shown: float = 1500.0) -> None:
        r = np.random.default_rng(seed)
        self.lists = r.integers(0, 8, items)
        self.lure = r.random(items) < share
        impressions = np.ceil(r.gamma(2, shown / 2, items))
        rate = 0.05 * np.exp(r.normal(0, 0.4, items)) * np.where(self.lure, 4.0, 1.0)
        clicks = r.binomial(impressions.astype(int), np.minimum(rate, 0.9)).astype(float)
        mean = np.linspace(0.25, 0.6, 8)[self.lists]
        follow = np.where(self.lure, 0.0, r.beta(mean * 30, (1 - mean) * 30))
        followed = r.binomial(clicks.astype(int), follow).astype(float)
        self.counts = {"impressions": impressions, "clicks": clicks, "judged": clicks, "followed": followed}

    def votes(self, rules: Any = RULES, **told: Any) -> tuple[Any, Any]:
        model = fit_label_model(rules, self.lists, self.counts, **{**SETTINGS, **told})
        votes = model.votes(self.lists, self.counts)
        return votes, logit(model.share) + votes.sum(axis=0)

    def judged(self, rules: Any = RULES, **told: Any) -> Any:
        return expit(self.votes(rules, **told)[1])


@pytest.mark.parametrize("share", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("shown", [300.0, 1500.0])
def test_planted_lures_are_found_and_honest_items_left_alone(share: float, shown: float) -> None:
    shop = Shop(1, share=share, shown=shown)
    flagged = shop.judged() >= 0.9
    # Where few were shown, what has hardly been clicked cannot be known yet.
    assert flagged[shop.lure & (shop.counts["clicks"] >= 40)].mean() >= 0.95
    assert flagged[shop.lure].mean() >= (0.95 if shown > 1000 else 0.85)
    assert flagged[~shop.lure].mean() < 0.01


def test_a_shop_without_lures_accuses_hardly_anybody() -> None:
    assert (Shop(2, share=0.0).judged() >= 0.9).mean() < 0.005


def test_few_clicks_keep_the_share() -> None:
    """One click that nothing followed is no proof; no click at all is exactly what was expected."""
    shop = Shop(4)
    for name, first in (("impressions", (20.0, 5000.0)), ("clicks", (1.0, 0.0)), ("judged", (1.0, 0.0))):
        shop.counts[name][:2] = first
    shop.counts["followed"][:2] = 0.0
    votes, odds = shop.votes()
    assert expit(odds[0]) < 0.2
    assert (votes[:, 1] == 0).all()


def test_where_nothing_ever_follows_nobody_is_accused() -> None:
    shop = Shop(5)
    shop.counts["followed"][:] = 0.0
    assert (shop.judged() < 0.5).all()


def test_a_rule_that_knows_nothing_of_lures_is_not_believed() -> None:
    """Its rate scatters as much among lures as among all others: whatever it says, it says quietly."""
    shop = Shop(6)
    r = np.random.default_rng(6)
    shop.counts["drawn"] = np.full(shop.lists.size, 200.0)
    shop.counts["outside"] = r.binomial(200, r.beta(6, 14, shop.lists.size)).astype(float)
    idle, _ = shop.votes((*RULES, OUTSIDE))
    assert np.abs(idle[2]).mean() < 0.2
    shop.counts["outside"] = r.binomial(200, np.where(shop.lure, 0.7, 0.3)).astype(float)
    telling, odds = shop.votes((*RULES, OUTSIDE))
    assert telling[2][shop.lure].mean() > 1.0
    agreed = agreement(telling, odds)[2]
    assert agreed is not None
    assert agreed > 0.9


def test_what_operators_know_moves_what_a_lure_is() -> None:
    """Half the lures are known: the stories of a rule that says little by itself are told by them."""
    shop = Shop(7, share=0.05)
    r = np.random.default_rng(7)
    shop.counts["drawn"] = np.full(shop.lists.size, 4.0)
    shop.counts["outside"] = r.binomial(4, np.where(shop.lure, 0.45, 0.3)).astype(float)
    # Too few clicks to see by themselves what follows.
    for name in ("judged", "followed"):
        shop.counts[name] = np.minimum(shop.counts[name], 1.0)
    known = np.where(shop.lure & (r.random(shop.lists.size) < 0.5), 1, UNKNOWN)
    without, _ = shop.votes((FOLLOWED, OUTSIDE))
    taught, _ = shop.votes((FOLLOWED, OUTSIDE), labels=known)
    unknown = shop.lure & (known == UNKNOWN)
    assert taught[1][unknown].mean() > without[1][unknown].mean()


@pytest.mark.parametrize(
    ("rules", "change", "says"),
    [
        (RULES, {"followed": 1e9}, "must lie between"),
        (RULES, {"followed": -1.0}, "must lie between"),
        (RULES, {"clicks": None}, "clicks are missing"),
        ((CLICKED, FULL_PRICE), {}, "no rule says what a lure is"),
    ],
)
def test_counts_that_cannot_be_are_refused(rules: Any, change: dict[str, Any], says: str) -> None:
    shop = Shop(8, items=50)
    for name, value in change.items():
        if value is None:
            del shop.counts[name]
        else:
            shop.counts[name] = np.full(50, value)
    with pytest.raises(ContractBroken, match=says):
        shop.judged(rules)
