"""Quantiles of many Beta distributions against scipy's, from one click to millions of impressions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc, betaincc, betaincinv

from spark_jobs.bandits.beta_quantile import beta_quantile


@given(alpha=st.floats(1e-3, 1e7), beta=st.floats(1e-3, 1e7), uniform=st.floats(1e-9, 1 - 1e-9))
def test_the_probability_is_the_one_asked_for(alpha: float, beta: float, uniform: float) -> None:
    x = beta_quantile(np.array([alpha]), np.array([beta]), np.array([uniform]))
    assert 0 <= x[0] <= 1
    if min(alpha, beta) < 16:
        assert x[0] == betaincinv(alpha, beta, uniform)
    else:
        assert betainc(alpha, beta, x[0]) == pytest.approx(uniform, abs=1e-4)


@pytest.mark.parametrize(("shape", "error"), [(16.0, 1e-4), (100.0, 1e-5), (2000.0, 1e-6)])
def test_the_error_falls_with_the_shapes(shape: float, error: float) -> None:
    r = np.random.default_rng(1)
    alpha, uniform = np.full(20_000, shape), r.random(20_000)
    beta = alpha * r.uniform(1, 300, 20_000)
    assert betainc(alpha, beta, beta_quantile(alpha, beta, uniform)) == pytest.approx(uniform, abs=error)


@pytest.mark.parametrize("shapes", [(16.0, 16.0), (16.0, 300.0), (300.0, 20.0), (2000.0, 40_000.0)])
@pytest.mark.parametrize("tail", [1e-4, 1e-2])
def test_tails_are_right_in_their_own_measure(shapes: tuple[float, float], tail: float) -> None:
    """How often a poor arm is tried hangs on them."""
    a, b = shapes
    x = beta_quantile(np.full(2, a), np.full(2, b), np.array([tail, 1 - tail]))
    assert [betainc(a, b, x[0]), betaincc(a, b, x[1])] == pytest.approx([tail, tail], rel=0.01)


def test_a_larger_uniform_number_gives_a_larger_quantile_also_where_the_method_changes() -> None:
    uniform = (np.arange(50_000) + 0.5) / 50_000
    for alpha in (15.9, 16.0, 16.1, 400.0):
        assert (np.diff(beta_quantile(np.full(50_000, alpha), np.full(50_000, 900.0), uniform)) > 0).all()
    lower, upper = (beta_quantile(np.full(99, a), np.full(99, 900.0), uniform[::506]) for a in (15.999, 16.001))
    assert lower == pytest.approx(upper, rel=2e-3)


def test_small_and_large_shapes_in_one_array_keep_their_rows() -> None:
    alpha = np.array([0.5, 50.0, 3.0, 500.0] * 9000)
    uniform = np.random.default_rng(2).random(alpha.size)
    whole = beta_quantile(alpha, 10 * alpha, uniform)
    one_by_one = [
        beta_quantile(alpha[i : i + 1], 10 * alpha[i : i + 1], uniform[i : i + 1])[0] for i in range(0, 36_000, 777)
    ]
    assert (whole[::777] == one_by_one).all()
