"""Intervals of skewed estimates: Student's where nothing is skewed, and covering where few values decide."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spark_jobs.evaluation.ope.skewed import skewed_interval


def test_without_skewness_and_long_tails_it_is_students() -> None:
    influence = np.tile([-1.0, 1.0], 20)
    t = stats.t.ppf(0.975, 39)
    found = skewed_interval(2.0, 0.5, influence, level=0.95)
    assert [found.low, found.high] == pytest.approx([2.0 - 0.5 * t, 2.0 + 0.5 * t])


def test_a_tail_to_the_right_reaches_up_and_its_mirror_image_down() -> None:
    influence = np.random.default_rng(1).exponential(size=40)
    right, left = (skewed_interval(0.0, 1.0, side * influence, level=0.95) for side in (1.0, -1.0))
    assert right.high > 2.2
    assert -right.low < 1.9
    assert [left.low, left.high] == pytest.approx([-right.high, -right.low])


def test_the_mean_of_rare_large_values_is_covered() -> None:
    """Log-normal with σ = 1.5, 60 values: Student's interval holds the mean in about 83 % of samples."""
    r = np.random.default_rng(2)
    truth, t, held, plain = np.exp(0.5 * 1.5**2), stats.t.ppf(0.975, 59), 0, 0
    for _ in range(2000):
        sample = r.lognormal(sigma=1.5, size=60)
        mean, error = sample.mean(), sample.std(ddof=1) / np.sqrt(60)
        found = skewed_interval(mean, error, (sample - mean) / 60, level=0.95)
        held += found.low <= truth <= found.high
        plain += abs(mean - truth) <= t * error
    assert plain / 2000 < 0.86
    assert held / 2000 > 0.9


@pytest.mark.parametrize(("error", "width"), [(0.0, 0.0), (float("nan"), float("nan"))])
def test_without_spread_there_is_no_width(error: float, width: float) -> None:
    found = skewed_interval(1.0, error, np.zeros(40), level=0.95)
    assert found.high - found.low == pytest.approx(width, nan_ok=True)
