"""Upper confidence bounds against their formulas, by scipy's root finder where there is no formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.kl_ucb import KLUCB
from spark_jobs.bandits.ucb1 import UCB1, UpperBound, log_rounds
from spark_jobs.bandits.ucb_tuned import UCBTuned

ONE = np.zeros(3, dtype=np.int64)


def drawn(bandit: UpperBound, mean: list[float], shown: list[float]) -> list[float]:
    numbers: list[float] = bandit.draw(Belief(np.array(mean), np.array(shown)), np.full(3, 0.5), lists=ONE).tolist()
    return numbers


def test_ucb1_is_its_formula() -> None:
    """The numbers mabwiser gives for one, two and five rounds of three arms, exploration 1."""
    log_t = math.log(8)
    expected = [m + math.sqrt(2 * log_t / n) for m, n in ((1.0, 1), (0.5, 2), (0.2, 5))]
    assert drawn(UCB1(), [1.0, 0.5, 0.2], [1.0, 2.0, 5.0]) == pytest.approx(expected, rel=1e-12)


def test_ucb_tuned_is_its_formula() -> None:
    log_t, expected = math.log(1108), []
    for m, n in ((0.01, 1000), (0.5, 8), (0.2, 100)):
        variance = min(0.25, m * (1 - m) + math.sqrt(2 * log_t / n))
        expected.append(m + math.sqrt(log_t / n * variance))
    assert drawn(UCBTuned(), [0.01, 0.5, 0.2], [1000.0, 8.0, 100.0]) == pytest.approx(expected, rel=1e-12)


@given(mean=st.floats(1e-6, 1 - 1e-6), shown=st.floats(1.0, 1e8), log_t=st.floats(0.0, 20.0))
def test_kl_ucb_is_the_root(mean: float, shown: float, log_t: float) -> None:
    def divergence(q: float) -> float:
        return mean * math.log(mean / q) + (1 - mean) * math.log((1 - mean) / (1 - q))

    got = KLUCB().bound(Belief(np.array([mean]), np.array([shown])), np.array([log_t]))[0]
    assert mean <= got <= 1
    last = 1 - 1e-12
    if shown * divergence(last) > log_t:
        root = brentq(lambda q: shown * divergence(q) - log_t, mean, last, xtol=1e-15) if log_t else mean
        assert got == pytest.approx(root, rel=1e-6, abs=1e-9)


def test_bounds_that_know_the_variance_are_narrower_at_low_rates() -> None:
    """Knowing the variance, or the law, rules out more: that is what makes them learn faster at click rates."""
    given = [0.02, 0.05, 0.1], [500.0, 300.0, 200.0]
    first, tuned, kl = (drawn(each, *given) for each in (UCB1(), UCBTuned(), KLUCB()))
    assert all(a > max(b, c) and min(b, c) > m for a, b, c, m in zip(first, tuned, kl, given[0], strict=True))


@given(seed=st.integers(0, 10**6))
def test_rounds_are_counted_by_list_in_any_order(seed: int) -> None:
    r = np.random.default_rng(seed)
    lists, evidence = r.integers(0, 4, 50), r.random(50) * 1e5
    got = log_rounds(evidence, lists)
    assert got == pytest.approx(np.log([evidence[lists == each].sum() for each in lists]))
    mixed = r.permutation(50)
    assert (log_rounds(evidence[mixed], lists[mixed]) == got[mixed]).all()
