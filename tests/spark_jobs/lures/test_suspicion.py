"""Planted lures are found, honest items are left in peace, and few data accuse nobody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segments.errors import ContractBroken
from spark_jobs.lures.suspicion import Signal, suspicion

RULE: dict[str, Any] = {"prior_share": 0.02, "drop": 0.3, "lift": 2.0}
WORDS = "{rate} against {peers}"


class Shop:
    """Items whose clicks are followed at a rate that scatters by list and item; lures' hardly ever."""

    def __init__(self, seed: int, *, items: int = 4000, share: float = 0.02, shown: float = 1500.0) -> None:
        r = np.random.default_rng(seed)
        self.lists = r.integers(0, 8, items)
        self.lure = r.random(items) < share
        self.impressions = np.ceil(r.gamma(2, shown / 2, items))
        rate = 0.05 * np.exp(r.normal(0, 0.4, items)) * np.where(self.lure, 4.0, 1.0)
        self.clicks = r.binomial(self.impressions.astype(int), np.minimum(rate, 0.9)).astype(float)
        mean = np.linspace(0.25, 0.6, 8)[self.lists]
        follow = np.where(self.lure, 0.0, r.beta(mean * 30, (1 - mean) * 30))
        self.followed = r.binomial(self.clicks.astype(int), follow).astype(float)

    def judged(self) -> Any:
        return suspicion(
            self.lists, impressions=self.impressions, clicks=self.clicks,
            signals=[Signal(WORDS, self.followed, self.clicks)], **RULE,
        )  # fmt: skip


@pytest.mark.parametrize("share", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("shown", [300.0, 1500.0])
def test_planted_lures_are_found_and_honest_items_left_alone(share: float, shown: float) -> None:
    shop = Shop(1, share=share, shown=shown)
    flagged = shop.judged().probability >= 0.9
    # Where few were shown, what has hardly been clicked cannot be known yet.
    assert flagged[shop.lure & (shop.clicks >= 40)].mean() >= 0.95
    assert flagged[shop.lure].mean() >= (0.95 if shown > 1000 else 0.85)
    assert flagged[~shop.lure].mean() < 0.01


def test_a_shop_without_lures_accuses_hardly_anybody() -> None:
    shop = Shop(2, share=0.0)
    assert (shop.judged().probability >= 0.9).mean() < 0.005


def test_reasons_are_given_in_words_and_only_to_the_suspicious() -> None:
    shop = Shop(3)
    verdict = shop.judged()
    worst = int(verdict.probability.argmax())
    assert verdict.reason[worst].startswith("0.0% against ")
    assert verdict.reason[int(verdict.probability.argmin())] == ""


def test_few_clicks_keep_the_prior() -> None:
    """One click that nothing followed is no proof; no click at all is exactly the prior."""
    shop = Shop(4)
    shop.impressions[:2], shop.clicks[:2], shop.followed[:2] = (20.0, 0.0), (1.0, 0.0), 0.0
    probability = shop.judged().probability
    assert probability[0] < 0.2
    assert probability[1] == pytest.approx(0.02)


def test_where_nothing_ever_follows_nobody_is_accused() -> None:
    shop = Shop(5)
    shop.followed[:] = 0.0
    assert (shop.judged().probability < 0.5).all()


def test_without_signals_nothing_is_a_lure() -> None:
    shop = Shop(6, items=50)
    verdict = suspicion(shop.lists, impressions=shop.impressions, clicks=shop.clicks, signals=[], **RULE)
    assert (verdict.probability == 0).all()


def test_more_followers_than_clicks_is_refused() -> None:
    shop = Shop(7, items=50)
    shop.followed = shop.clicks + 1
    with pytest.raises(ContractBroken, match="more often"):
        shop.judged()
