"""Always-valid intervals, power, sample ratios and corrections: formulas that must agree, and promises simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.errors import UsageError
from spark_jobs.evaluation.ab.effect import effect
from spark_jobs.evaluation.ab.power import Plan
from spark_jobs.evaluation.ab.sequential import always_valid, always_valid_p
from spark_jobs.evaluation.ab.soundness import holm, sample_ratio_p
from tests.spark_jobs.evaluation.ab.worlds import world


@given(st.floats(-5, 5), st.floats(1e-9, 10), st.floats(1e-3, 10))
def test_p_and_interval_say_the_same(difference: float, variance: float, scale: float) -> None:
    p = always_valid_p(difference, variance, scale=scale)
    interval = always_valid(difference, variance, scale=scale)
    if abs(p - 0.05) > 1e-6:
        assert (p < 0.05) == (not interval.low <= 0 <= interval.high)
    assert interval.high - difference > 1.959 * math.sqrt(variance), "looking often is paid for"


def test_peeking_daily_keeps_the_promise() -> None:
    """Brownian A/A tests looked at 50 times: at most 5 % ever exclude 0; the fixed interval would in far more."""
    generator = np.random.default_rng(3)
    steps = generator.standard_normal((3000, 50))
    mean = np.cumsum(steps, 1) / np.arange(1, 51)
    variance = 1.0 / np.arange(1, 51)
    half = [always_valid(0.0, v, scale=0.4).high for v in variance]
    assert np.mean(np.any(np.abs(mean) > half, axis=1)) <= 0.05
    assert np.mean(np.any(np.abs(mean) > 1.96 * np.sqrt(variance), axis=1)) > 0.25


def test_a_sequence_without_a_scale_is_refused() -> None:
    assert always_valid(0.0, 0.0, scale=1.0).high == math.inf
    assert always_valid_p(1.0, 0.0, scale=1.0) == 1.0
    for scale in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(UsageError):
            always_valid(0.0, 1.0, scale=scale)


def test_power_is_what_was_promised() -> None:
    """800 simulated tests of the planned size, on the clicks of users who differ: 80 % within what chance allows."""
    generator = np.random.default_rng(17)
    _, clicks, _, _ = world(200_000, generator)
    plan = Plan(mean=float(clicks.mean()), deviation=float(clicks.std()), effect=0.25, control=0.6, variant=0.4)
    users = plan.users(0.8)
    assert plan.power(users) == pytest.approx(0.8, abs=1e-3)
    assert plan.detectable(users) == pytest.approx(0.25, rel=1e-3)
    found = 0
    for _ in range(800):
        arms, clicks, _, _ = world(users, generator, lift=0.25, share=0.4)
        result = effect(arms, clicks, np.ones(users), arm=1)
        assert result is not None
        found += result.p < 0.05
    assert abs(found / 800 - 0.8) < 0.045


@pytest.mark.parametrize(
    "wrong",
    [{"deviation": 0.0}, {"effect": 0.0}, {"mean": 0.0}, {"control": 0.9}, {"variant": 0.0}, {"mean": math.nan}],
)
def test_a_plan_that_is_none(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Plan(**{"mean": 1.0, "deviation": 1.0, "effect": 0.1, **wrong})
    with pytest.raises(UsageError):
        Plan(mean=1.0, deviation=1.0, effect=0.1).users(1.0)


def test_a_split_that_was_not_ordered_is_seen() -> None:
    ordered = np.array([[0.9, 0.1], [0.5, 0.5]])
    assert sample_ratio_p(np.array([[9000.0, 1000.0], [5000.0, 5000.0]]), ordered) == pytest.approx(1.0)
    assert sample_ratio_p(np.array([[9000.0, 1000.0], [5300.0, 4700.0]]), ordered) < 1e-6
    # in both epochs off in opposite directions: pooled they would cancel
    assert sample_ratio_p(np.array([[8800.0, 1200.0], [5200.0, 4800.0]]), ordered) < 1e-6
    assert sample_ratio_p(np.array([[10.0, 10.0]]), np.array([[1.0, 0.0]])) == 0.0
    assert np.isnan(sample_ratio_p(np.array([[10.0, 0.0]]), np.array([[1.0, 0.0]])))
    generator = np.random.default_rng(1)
    p = [sample_ratio_p(generator.multinomial(5000, [0.4, 0.2, 0.4])[None, :].astype(float),
                        np.array([[0.4, 0.2, 0.4]])) for _ in range(2000)]  # fmt: skip
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 0.015


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
    assert holm([0.02, math.nan])[0] == pytest.approx(0.02)
