"""Beliefs shared by items of like features: against the Beta belief, brute-force regression, and any prior strength."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.errors import ContractBroken
from segments.hashing import hash_strings
from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.linear import Regression, hashed_features, linear_belief

strengths = st.sampled_from([0.1, 1.0, 7.0, 300.0, 20_000.0])
parts = st.sampled_from([0.0, 0.3, 0.5, 1.0])


@given(strength=strengths, shared=parts, seed=st.integers(0, 10**6))
def test_a_cold_arm_has_the_variance_of_its_prior_for_any_strength(strength: float, shared: float, seed: int) -> None:
    """p (1 − p) / (strength + 1), with features, with half of them, and with none."""
    r = np.random.default_rng(seed)
    prior, features = r.uniform(0.001, 0.9, 3), r.normal(size=(3, 5))
    features *= np.array([[1.0], [0.5], [0.0]]) / np.linalg.norm(features, axis=1, keepdims=True)
    cold = np.zeros(3)
    belief = linear_belief(prior, strength, impressions=cold, clicks=cold, features=features, shared=shared)
    assert belief.mean == pytest.approx(prior)
    assert belief.deviation**2 == pytest.approx(prior * (1 - prior) / (strength + 1))


@given(strength=strengths, shared=parts, seed=st.integers(0, 10**6))
def test_arms_unlike_one_another_are_believed_by_their_own_counts(strength: float, shared: float, seed: int) -> None:
    """With a feature of its own for every arm there is nothing to share: the Beta belief, whatever the part."""
    r = np.random.default_rng(seed)
    prior, shown = r.uniform(0.01, 0.5, 6), r.integers(0, 500, 6).astype(float)
    clicks = np.floor(shown * r.random(6))
    beta = Belief.of(prior, strength, impressions=shown, clicks=clicks)
    got = linear_belief(prior, strength, impressions=shown, clicks=clicks, features=np.eye(6), shared=shared)
    assert got.mean == pytest.approx(beta.mean, rel=1e-6)
    assert got.evidence == pytest.approx(beta.evidence, rel=1e-6)


@given(shared=st.sampled_from([0.2, 0.5, 1.0]), seed=st.integers(0, 10**6))
def test_it_is_the_posterior_of_the_whole_normal_model(shared: float, seed: int) -> None:
    """All own parts and weights as one normal vector, conditioned at once by matrices."""
    r = np.random.default_rng(seed)
    n, width, strength = 12, 3, 40.0
    prior, shown = r.uniform(0.05, 0.4, n), r.integers(1, 300, n).astype(float)
    clicks = np.floor(shown * r.random(n))
    features = r.normal(size=(n, width))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    scale = np.sqrt(prior * (1 - prior))
    covariance = (shared * features @ features.T + (1 - shared) * np.eye(n)) / strength
    gain = covariance @ np.linalg.inv(covariance + np.diag(1 / shown))
    mean = prior + scale * (gain @ ((clicks - shown * prior) / (shown * scale)))
    variance = np.diag(covariance - gain @ covariance)
    got = linear_belief(prior, strength, impressions=shown, clicks=clicks, features=features, shared=shared)
    assert got.mean == pytest.approx(np.clip(mean, 1e-9, 1 - 1e-9), abs=1e-8)
    assert got.evidence == pytest.approx(1 / variance, rel=1e-6)


def test_what_its_likes_have_done_moves_a_cold_arm_and_narrows_its_belief() -> None:
    brand = hash_strings(["good"] * 50 + ["bad"] * 50)
    features = hashed_features([brand], 64)
    shown, clicks = np.full(100, 1000.0), np.r_[np.full(50, 150.0), np.full(50, 50.0)]
    shown[[0, 50]], clicks[[0, 50]] = 0, 0
    belief = linear_belief(np.full(100, 0.1), 100.0, impressions=shown, clicks=clicks, features=features, shared=0.8)
    assert belief.mean[0] == pytest.approx(0.15, abs=0.002)
    assert belief.mean[50] == pytest.approx(0.05, abs=0.002)
    assert 300 < belief.evidence[0] < 1000 < belief.evidence[1]


def test_a_day_more_gives_what_all_days_at_once_give() -> None:
    r = np.random.default_rng(2)
    features, residual, weight = r.normal(size=(90, 4)), r.normal(size=90), r.uniform(0, 9, 90)
    whole = day_by_day = Regression.prior(4, 5.0, shared=0.5)
    whole = whole.seen(features, residual, weight)
    for rows in np.array_split(np.arange(90), 3):
        day_by_day = day_by_day.seen(features[rows], residual[rows], weight[rows])
    for one, other in zip(whole.told(features), day_by_day.told(features), strict=True):
        assert one == pytest.approx(other, rel=1e-10)


def test_hashed_features_have_length_one_and_follow_the_values() -> None:
    brand, kind = hash_strings(["a", "b", "a", "c"]), hash_strings(["x", "x", "x", "y"])
    features = hashed_features([brand, kind], 64)
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(4))
    assert (features[0] == features[2]).all()
    assert features[0] @ features[1] == pytest.approx(0.5)
    assert abs(features[0] @ features[3]) < 0.6


def test_features_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ContractBroken, match="finite"):
        linear_belief(
            np.full(2, 0.1), 1.0, impressions=np.zeros(2), clicks=np.zeros(2), features=np.full((2, 2), np.nan)
        )
