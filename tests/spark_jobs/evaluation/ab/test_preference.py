"""The preference between two teams: its interval covers the truth, users who return count once."""

from __future__ import annotations

import numpy as np
import pytest

from segments.errors import ContractBroken
from spark_jobs.evaluation.ab.preference import hoped_share, preference


def test_the_interval_covers_the_truth_and_even_teams_are_seldom_told_apart() -> None:
    generator = np.random.default_rng(5)
    inside, alarms, tests = 0, 0, 2000
    for _ in range(tests):
        user = np.repeat(np.arange(200), 3)
        # users differ in how much they click, and in whom they prefer
        level, taste = generator.gamma(1.0, 2.0, 200)[user], generator.beta(12.0, 8.0, 200)[user]
        clicks = generator.poisson(level)
        second = generator.binomial(clicks, taste).astype(np.float64)
        found = preference(user, clicks - second, second)
        assert found is not None
        interval = found.interval()
        inside += interval.low <= 0.6 <= interval.high
        even = generator.binomial(clicks, 0.5).astype(np.float64)
        none = preference(user, clicks - even, even)
        assert none is not None
        alarms += none.p < 0.05
    assert 0.93 <= inside / tests <= 0.97
    assert 0.035 <= alarms / tests <= 0.065


def test_rows_of_a_user_are_added_before_they_are_squared() -> None:
    first, second = np.array([1.0, 2.0, 0.0, 1.0]), np.array([0.0, 3.0, 1.0, 1.0])
    one = preference(np.array([0, 0, 1, 1]), first, second)
    two = preference(np.array([0, 1]), np.array([3.0, 1.0]), np.array([3.0, 2.0]))
    assert one == two
    assert one is not None
    assert (one.prefer_first, one.prefer_second, one.users) == (0, 1, 2)


def test_nothing_is_said_of_nothing() -> None:
    none = np.zeros(2)
    assert preference(np.arange(2), none, none) is None
    alike = preference(np.arange(2), none + 1, none + 1)
    assert alike is not None
    assert (alike.share, alike.p) == (0.5, 1.0)
    sure = preference(np.arange(2), none, none + 1)
    assert sure is not None
    assert np.isnan(sure.p), "everybody did the same: how far it could be otherwise is not known"
    for bad in (np.array([np.nan, 1.0]), np.array([-1.0, 1.0]), np.ones(3)):
        with pytest.raises(ContractBroken, match="two credits"):
            preference(np.arange(2), np.ones(2), bad)
    assert hoped_share(0.1) == pytest.approx(1.1 / 2.1 - 0.5)
