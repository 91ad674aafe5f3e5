"""Bandits in a shop whose truth is known: they learn, also from clicks that come late and of tastes that move."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.registry import BANDITS, bandit
from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.bandits.thompson import Thompson
from tests.spark_jobs.bandits.shop import Shop

NIGHTS = 40


@pytest.mark.parametrize("name", sorted(set(BANDITS) - {"linucb", "linear-thompson"}))
def test_the_last_nights_cost_less_than_the_first(name: str) -> None:
    lost = Shop(lists=10).regret(bandit(name, ExploreSettings()), nights=NIGHTS).mean(axis=1)
    # Greedy stands still where it is, epsilon-greedy and softmax never stop, UCB1 is made for rewards all over 0 … 1.
    limit = {"ucb1": 0.9, "none": 0.7, "epsilon-greedy": 0.7, "softmax": 0.6}.get(name, 0.45)
    assert lost[-8:].mean() < limit * lost[:8].mean()


def test_who_explores_loses_less_than_who_does_not() -> None:
    greedy, thompson = (
        Shop(lists=30).regret(bandit(name, ExploreSettings()), nights=60, strength=5.0, prior=0.02)[-20:].mean(axis=0)
        for name in ("none", "thompson")
    )
    difference = greedy - thompson
    assert difference.mean() > 3 * difference.std() / np.sqrt(30)


@pytest.mark.parametrize(("linear", "plain"), [("linear-thompson", "thompson"), ("linucb", "kl-ucb")])
def test_where_brands_tell_of_their_items_sharing_costs_less(linear: str, plain: str) -> None:
    shop = Shop(lists=8, brands=10)
    shared, alone = (shop.regret(bandit(name, ExploreSettings()), nights=20).sum(axis=0) for name in (linear, plain))
    assert shared.mean() < 0.8 * alone.mean()


def test_where_tastes_move_old_evidence_must_fade() -> None:
    shop = Shop(lists=20, drift=0.03)
    lasting, fading = (shop.regret(Thompson(), nights=80, half_life=life)[-30:].mean(axis=0) for life in (None, 15.0))
    difference = lasting - fading
    assert difference.mean() > 3 * difference.std() / np.sqrt(20)


@pytest.mark.parametrize(("trait", "knowing"), [("delay", "knows_delay"), ("position_decay", "knows_places")])
def test_counting_what_could_be_clicked_costs_less(trait: str, knowing: str) -> None:
    """Late clicks and low places make shown arms look worse than they are, and arms hardly shown better."""
    shop = Shop(lists=30, **{trait: 4.0 if trait == "delay" else 0.7})
    blind, knows = (shop.regret(Thompson(), nights=NIGHTS, **{knowing: flag}).sum(axis=0) for flag in (False, True))
    difference = blind - knows
    assert difference.mean() > 2 * difference.std() / np.sqrt(30)


def test_yesterdays_posterior_is_todays_prior() -> None:
    """Night by night and all at once: the same to rounding, the same bits where nothing is rounded."""
    r = np.random.default_rng(4)
    shown = r.integers(0, 400, (6, 50)).astype(float)
    clicks = np.floor(shown * r.random((6, 50)) * 0.2)
    prior = r.uniform(0.01, 0.1, 50)
    belief = whole = Belief.of(prior, 300.0, impressions=np.zeros(50), clicks=np.zeros(50))
    for night in range(6):
        belief = Belief.of(belief.mean, belief.evidence, impressions=shown[night], clicks=clicks[night])
    whole = Belief.of(prior, 300.0, impressions=shown.sum(axis=0), clicks=clicks.sum(axis=0))
    assert belief.mean == pytest.approx(whole.mean, rel=1e-13)
    assert (belief.evidence == whole.evidence).all()
    dyadic = Belief.of(np.array([0.25]), 4.0, impressions=np.array([12.0]), clicks=np.array([3.0]))
    again = Belief.of(dyadic.mean, dyadic.evidence, impressions=np.array([16.0]), clicks=np.array([12.0]))
    assert (
        again.mean[0] == Belief.of(np.array([0.25]), 4.0, impressions=np.array([28.0]), clicks=np.array([15.0])).mean[0]
    )
