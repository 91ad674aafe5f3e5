"""Intervals cover what they say, differences are taken within each resample, users stay whole."""

from __future__ import annotations

import numpy as np
import pytest

from segments.errors import ContractBroken
from spark_jobs.evaluation.bootstrap import PairedBootstrap
from spark_jobs.evaluation.ranking import UserSums


def test_intervals_cover_the_truth_about_as_often_as_promised() -> None:
    """300 worlds of 80 users with correlated visits; the mean of all visits is 1."""
    r = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        visits = r.integers(1, 9, 80)
        level = 1 + r.normal(0, 0.5, 80)
        numerator = visits * level + np.sqrt(visits) * r.normal(0, 0.3, 80)
        sums = UserSums(numerator, visits.astype(float))
        bootstrap = PairedBootstrap(80, draws=400, seed=int(r.integers(1 << 30)))
        interval = bootstrap.interval(sums.value, bootstrap.ratios(sums))
        covered += interval.low <= 1 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_a_difference_is_far_surer_than_either_side() -> None:
    r = np.random.default_rng(3)
    base, visits = r.random(500), np.ones(500)
    one, two = UserSums(base, visits), UserSums(base + 0.01 + r.normal(0, 0.001, 500), visits)
    bootstrap = PairedBootstrap(500, seed=1)
    samples = bootstrap.ratios(one), bootstrap.ratios(two)
    gap = bootstrap.difference(two.value, samples[1], than=(one.value, samples[0]))
    alone = bootstrap.interval(two.value, samples[1])
    assert gap.value == pytest.approx(0.01, abs=1e-3)
    assert gap.low > 0
    assert gap.high - gap.low < 0.02 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval_and_linear_agrees_with_ratios() -> None:
    r = np.random.default_rng(4)
    sums = UserSums(r.random(300), r.integers(1, 5, 300).astype(float))
    first, again = PairedBootstrap(300, seed=9), PairedBootstrap(300, seed=9)
    assert (first.ratios(sums) == again.ratios(sums)).all()
    influence = (sums.numerator - sums.value * sums.denominator) / sums.denominator.sum()
    linear = first.interval(sums.value, first.linear(sums.value, influence))
    exact = first.interval(sums.value, first.ratios(sums))
    assert (linear.low, linear.high) == pytest.approx((exact.low, exact.high), rel=0.01)


def test_every_resample_draws_as_many_users_as_there_are() -> None:
    weights = PairedBootstrap(7, draws=50, seed=0).weights
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_one_user_has_no_spread() -> None:
    with pytest.raises(ContractBroken, match="two users"):
        PairedBootstrap(1)
