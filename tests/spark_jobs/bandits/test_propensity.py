"""Propensities against exact probabilities where these can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.greedy import Greedy
from spark_jobs.bandits.propensity import place_propensity
from spark_jobs.bandits.thompson import Thompson


def propensity(belief: Belief, places: Any, **changes: Any) -> Any:
    n = belief.mean.size
    given: dict[str, Any] = {
        "lists": np.zeros(n, dtype=np.int64), "few": np.zeros(n, dtype=bool), "last": np.zeros(n, dtype=bool),
        "top": 50, "share": 0.0, "replicates": 4000, "generator": np.random.default_rng(0),
    }  # fmt: skip
    return place_propensity(Thompson(), belief, places=np.asarray(places), **(given | changes))


def test_equal_arms_stand_anywhere_with_equal_probability() -> None:
    got = propensity(Belief(np.full(5, 0.1), np.full(5, 50.0)), [1, 2, 3, 4, 5])
    assert got == pytest.approx(np.full(5, 0.2), abs=0.03)


def test_the_probability_that_one_arm_beats_another() -> None:
    """P(X > Y) for X, Y from Beta(2, 8) and Beta(4, 6), by numerical integration of the first's tail."""
    grid = (np.arange(200_000) + 0.5) / 200_000
    from scipy.stats import beta

    expected = float(np.mean(beta.cdf(beta.ppf(grid, 2, 8), 4, 6)))
    got = propensity(Belief(np.array([0.2, 0.4]), np.array([10.0, 10.0])), [1, 2])
    assert got == pytest.approx([expected, expected], abs=0.02)


def test_every_place_is_taken_by_somebody() -> None:
    """Over all arms the probabilities of one place add up to one, quota and all."""
    r = np.random.default_rng(3)
    n = 12
    belief = Belief(r.uniform(0.05, 0.2, n), r.uniform(20, 200, n))
    few = r.random(n) < 0.3
    for place in (1, 5, 12):
        got = propensity(belief, np.full(n, place), few=few, share=0.25, top=12, replicates=999)
        hits = got * 1000 - 1
        assert hits.sum() == pytest.approx(999)


def test_one_replicate_more_keeps_it_above_zero() -> None:
    belief = Belief(np.array([0.9, 0.01]), np.array([1e6, 1e6]))
    assert propensity(belief, [2, 1], replicates=9).tolist() == [0.1, 0.1]
    assert propensity(belief, [1, 2], replicates=9).tolist() == [1.0, 1.0]


def test_beyond_the_first_places_is_one_cell() -> None:
    n = 400
    belief = Belief(np.linspace(0.5, 0.01, n), np.full(n, 1e8))
    got = propensity(belief, np.arange(1, n + 1), top=3, replicates=99)
    assert (got[3:] == 1.0).all()
    assert (got[:3] == 1.0).all()


def test_the_quota_gives_a_hopeless_cold_arm_its_place() -> None:
    belief = Belief(np.r_[np.full(19, 0.5), 0.001], np.full(20, 1e5))
    few = np.arange(20) == 19
    got = propensity(belief, np.r_[1 + np.arange(9), 11 + np.arange(10), 10], few=few, share=0.1, top=10, replicates=99)
    assert got[19] == 1.0


def test_lures_stand_last_in_every_replicate() -> None:
    belief = Belief(np.array([0.9, 0.1, 0.1]), np.full(3, 30.0))
    got = propensity(belief, [3, 1, 2], last=np.array([True, False, False]))
    assert got[0] == 1.0
    assert got[1:] == pytest.approx([0.5, 0.5], abs=0.03)


def test_lists_do_not_compete_and_leaving_out_the_hopeless_changes_nothing() -> None:
    """Two lists drawn together, each as if alone; arms far below the first places are never drawn."""
    r = np.random.default_rng(5)
    belief = Belief(np.r_[r.uniform(0.1, 0.12, 60), r.uniform(0.001, 0.0011, 300)], np.full(360, 5000.0))
    lists = np.arange(360) % 2
    few = np.zeros(360, dtype=bool)
    places = np.arange(360) // 2 + 1
    got = propensity(belief, places, lists=lists, few=few, top=10, replicates=2000)
    alone = propensity(belief.take(np.flatnonzero(lists == 0)), places[lists == 0], top=10, replicates=2000)
    assert got[lists == 0] == pytest.approx(alone, abs=0.05)
    assert (got[places > 100] == 1.0).all()


def test_without_exploration_everything_is_certain() -> None:
    belief = Belief(np.array([0.2, 0.1]), np.ones(2))
    got = place_propensity(
        Greedy(), belief, lists=np.zeros(2, dtype=np.int64), few=np.zeros(2, dtype=bool), last=np.zeros(2, dtype=bool),
        places=np.array([1, 2]), top=50, share=0.0, replicates=10, generator=np.random.default_rng(0),
    )  # fmt: skip
    assert got.tolist() == [1.0, 1.0]
