"""Propensities against exact probabilities where these can be worked out by hand."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.greedy import Greedy
from spark_jobs.bandits.kl_ucb import KLUCB
from spark_jobs.bandits.propensity import place_propensity
from spark_jobs.bandits.quota import Lists, Quota, quota_places
from spark_jobs.bandits.softmax import Softmax
from spark_jobs.bandits.thompson import Thompson


def propensity(belief: Belief, places: Any, **changes: Any) -> Any:
    n = belief.mean.size
    given: dict[str, Any] = {
        "lists": np.zeros(n, dtype=np.int64), "few": np.zeros(n, dtype=bool), "last": np.zeros(n, dtype=bool),
        "bandit": Thompson(), "replicates": 4000, "generator": np.random.default_rng(0),
    }  # fmt: skip
    owed = {name: changes.pop(name) for name in ("top", "share", "most", "first_place") if name in changes}
    chosen = given | {"quota": Quota(**({"top": 50} | owed))} | changes
    return place_propensity(chosen.pop("bandit"), belief, places=np.asarray(places), **chosen)


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


def test_a_factor_counts_as_it_does_in_the_list_that_is_served() -> None:
    """Half of the better one against the other: as if its law were that of half its draw."""
    grid = (np.arange(200_000) + 0.5) / 200_000
    from scipy.stats import beta

    expected = float(np.mean(beta.cdf(0.5 * beta.ppf(grid, 40, 60), 25, 75)))
    belief = Belief(np.array([0.4, 0.25]), np.array([100.0, 100.0]))
    got = propensity(belief, [1, 2], factor=np.array([0.5, 1.0]))
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
        places=np.array([1, 2]), quota=Quota(50), replicates=10, generator=np.random.default_rng(0),
    )  # fmt: skip
    assert got.tolist() == [1.0, 1.0]


def plackett_luce(worth: NDArray[np.float64], few: NDArray[np.bool_], quota: Quota) -> NDArray[np.float64]:
    """(arm, place) probabilities, summed over all orders of a short list, the quota applied to each."""
    n = worth.size
    result = np.zeros((n, n))
    for drawn in permutations(range(n)):
        order = np.array(drawn)
        left = worth[order][::-1].cumsum()[::-1]
        place = quota_places(Lists.sorted(np.zeros(n, dtype=np.int64), 1), few[order], quota)
        result[order, place - 1] += np.prod(worth[order] / left)
    return result


@pytest.mark.parametrize(
    "quota",
    [Quota(6), Quota(4, share=0.25), Quota(4, share=0.25, first_place=3), Quota(4, most=0.25), Quota(3, 0.3, 0.4, 2)],
)
def test_propensities_are_those_of_the_list_after_floors_and_caps(quota: Quota) -> None:
    """Softmax draws lists as Plackett and Luce do: all 720 orders of six arms, each arranged by the quota."""
    mean, temperature = np.array([0.3, 0.25, 0.2, 0.1, 0.09, 0.05]), 0.5
    few = np.array([False, True, False, True, False, True])
    exact = plackett_luce(mean ** (1 / temperature), few, quota)
    exact[:, quota.top :] = exact[:, quota.top :].sum(1, keepdims=True)
    for place in range(1, 7):
        got = propensity(
            Belief(mean, np.full(6, 1e4)), np.full(6, place), bandit=Softmax(temperature), few=few,
            top=quota.top, share=quota.share, most=quota.most, first_place=quota.first_place,
        )  # fmt: skip
        assert got == pytest.approx(exact[:, place - 1], abs=0.035)


def test_leaving_out_the_hopeless_changes_nothing_under_a_cap() -> None:
    """Little-seen arms that are held back let in others, whom drawing must not have left out."""
    belief = Belief(np.r_[np.full(10, 0.5), np.full(10, 0.1), np.full(30, 0.001)], np.full(50, 1e5))
    few = np.arange(50) < 10
    got = propensity(belief, np.r_[11 + np.arange(10), 1 + np.arange(10), np.full(30, 21)], few=few, top=10, most=0.0)
    assert got[10:20] == pytest.approx(np.full(10, 0.1), abs=0.03)
    assert (got[20:] == 1).all()


def test_what_hangs_on_no_chance_is_certain() -> None:
    got = propensity(Belief(np.array([0.2, 0.1]), np.ones(2)), [1, 2], bandit=KLUCB(), share=0.5)
    assert got.tolist() == [1.0, 1.0]
