"""Thompson draws against scipy's Beta distribution, and arms of every kind of history."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from segments.errors import ContractBroken
from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.thompson import Thompson


def test_the_draw_is_the_quantile_of_the_beta_posterior() -> None:
    r = np.random.default_rng(0)
    belief = Belief.of(r.random(2000) * 0.1, 300.0, impressions=r.gamma(1, 500, 2000), clicks=r.poisson(4, 2000) * 1.0)
    uniform = r.random(2000)
    drawn = Thompson().draw(belief, uniform, lists=np.zeros(2000, dtype=np.int64))
    assert beta.cdf(drawn, belief.alpha, belief.beta) == pytest.approx(uniform, abs=1e-4)


@given(prior=st.floats(0.0005, 0.9), strength=st.sampled_from([0.5, 1.0, 10.0, 1000.0, 20_000.0]))
def test_the_variance_of_a_cold_arm_is_that_of_its_prior(prior: float, strength: float) -> None:
    """m (1 - m) / (strength + 1), for any strength: elsewhere strengths other than 1 got it wrong by their square."""
    belief = Belief.of(np.array([prior]), strength, impressions=np.zeros(1), clicks=np.zeros(1))
    assert belief.deviation[0] ** 2 == pytest.approx(prior * (1 - prior) / (strength + 1))
    assert beta.var(belief.alpha[0], belief.beta[0]) == pytest.approx(belief.deviation[0] ** 2)


@pytest.mark.parametrize("strength", [2.0, 50.0, 20_000.0])
def test_cold_draws_spread_as_their_prior_says(strength: float) -> None:
    n = 40_000
    belief = Belief.of(np.full(n, 0.02), strength, impressions=np.zeros(n), clicks=np.zeros(n))
    drawn = Thompson().draw(belief, (np.arange(n) + 0.5) / n, lists=np.zeros(n, dtype=np.int64))
    assert drawn.mean() == pytest.approx(0.02, rel=1e-3)
    assert drawn.var() == pytest.approx(0.02 * 0.98 / (strength + 1), rel=5e-3)


def test_evidence_moves_the_mean_from_the_prior_to_the_rate_seen() -> None:
    belief = Belief.of(np.array([0.1, 0.1]), 100.0, impressions=np.array([100.0, 1e6]), clicks=np.array([30.0, 3e5]))
    assert belief.mean == pytest.approx([0.2, 0.3], rel=1e-3)
    assert belief.evidence.tolist() == [200.0, 1_000_100.0]


def test_a_click_without_a_recorded_impression_is_one() -> None:
    belief = Belief.of(np.array([0.1]), 10.0, impressions=np.zeros(1), clicks=np.array([3.0]))
    assert belief.evidence.tolist() == [13.0]
    assert belief.mean[0] == pytest.approx(4 / 13)


@pytest.mark.parametrize(
    ("prior", "impressions", "clicks"),
    [([1.5], [0.0], [0.0]), ([float("nan")], [0.0], [0.0]), ([0.1], [-1.0], [0.0]), ([0.1], [0.0, 0.0], [0.0])],
)
def test_impossible_counts_are_refused(prior: list[float], impressions: list[float], clicks: list[float]) -> None:
    with pytest.raises(ContractBroken):
        Belief.of(np.array(prior), 1.0, impressions=np.array(impressions), clicks=np.array(clicks))
