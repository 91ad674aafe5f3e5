"""Effects: by hand, against independent formulas, covered as often as promised, and Simpson's paradox planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from segments.errors import ContractBroken
from spark_jobs.evaluation.ab.effect import Cells, effect
from spark_jobs.evaluation.ab.resampled import resampled
from tests.spark_jobs.evaluation.ab.worlds import world


def test_means_per_user_are_the_t_test_of_welch() -> None:
    generator = np.random.default_rng(1)
    cells, clicks, _, _ = world(500, generator, share=0.3)
    found = effect(cells, clicks, np.ones(500), arm=1)
    assert found is not None
    a, b = clicks[cells.arm == 0], clicks[cells.arm == 1]
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.variance == pytest.approx(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(stats.ttest_ind(b, a, equal_var=False).statistic)))
    assert found.interval().high - found.difference == pytest.approx(1.959964 * found.variance**0.5)


def test_a_ratio_is_its_delta_method() -> None:
    generator = np.random.default_rng(2)
    cells, clicks, shown, _ = world(800, generator)
    found = effect(cells, clicks, shown, arm=1)
    assert found is not None

    def by_formula(rows: np.ndarray) -> tuple[float, float]:
        y, x = clicks[rows], shown[rows]
        ratio, covariance = y.sum() / x.sum(), np.cov(y, x)
        spread = covariance[0, 0] - 2 * ratio * covariance[0, 1] + ratio**2 * covariance[1, 1]
        return ratio, spread / x.mean() ** 2 / y.size

    (a, va), (b, vb) = by_formula(cells.arm == 0), by_formula(cells.arm == 1)
    assert (found.control, found.value) == (pytest.approx(a), pytest.approx(b))
    assert found.variance == pytest.approx(va + vb)
    assert found.relative_variance == pytest.approx(vb / a**2 + va * b**2 / a**4)
    drawn = resampled(cells, clicks, shown, arm=1, draws=600, seed=3)
    plain = found.interval()
    assert drawn.value == pytest.approx(found.difference)
    assert (drawn.high - drawn.low) == pytest.approx(plain.high - plain.low, rel=0.12)


def test_an_interval_covers_the_truth_as_often_as_promised() -> None:
    """Ratio metric with a real effect, 1,000 worlds: 93–97 % for the absolute and the relative interval."""
    generator = np.random.default_rng(5)
    inside = np.zeros(2)
    for _ in range(1000):
        cells, clicks, shown, _ = world(600, generator, lift=0.2)
        found = effect(cells, clicks, shown, arm=1)
        assert found is not None
        absolute, relative = found.interval(), found.relative_interval()
        inside += [absolute.low <= 0.02 <= absolute.high, relative.low <= 0.2 <= relative.high]
    assert np.all((inside >= 930) & (inside <= 970)), inside


def test_simpsons_paradox_is_not_walked_into() -> None:
    """A quiet epoch at 90/10, a busy one at 10/90: pooled the variant looks better, in each epoch it is worse."""
    generator = np.random.default_rng(7)
    parts = []
    for epoch, (share, rate) in enumerate([(0.1, 0.05), (0.9, 0.15)]):
        arm = (generator.random(4000) < share).astype(np.int64)
        clicks = generator.binomial(20, rate * np.where(arm == 1, 0.9, 1.0)).astype(np.float64)
        parts.append((np.full(4000, epoch), arm, clicks))
    epoch, arm, clicks = (np.concatenate(each) for each in zip(*parts, strict=True))
    cells, shown = Cells(np.arange(8000), epoch, arm), np.full(8000, 20.0)
    pooled = effect(Cells(cells.user, np.zeros(8000, dtype=np.int64), arm), clicks, shown, arm=1)
    found = effect(cells, clicks, shown, arm=1)
    assert pooled is not None
    assert found is not None
    assert pooled.interval().low > 0.0, "what pooling would have said"
    assert found.interval().high < 0.0
    assert found.interval().low < -0.01 < found.interval().high, "0.1 × (0.05 + 0.15) / 2"
    assert resampled(cells, clicks, shown, arm=1, draws=300).high < 0.0


def test_users_who_return_in_another_epoch_count_once() -> None:
    """The same users in ten epochs are no ten times as many users: coverage holds, where independent rows would not."""
    generator = np.random.default_rng(11)
    covered = naive = 0
    for _ in range(400):
        rates = generator.beta(2.0, 18.0, 200)
        user = np.tile(np.arange(200), 10)
        arm = np.tile((generator.random(200) < 0.5).astype(np.int64), 10)
        clicks = generator.binomial(20, rates[user]).astype(np.float64)
        cells, shown = Cells(user, np.repeat(np.arange(10), 200), arm), np.full(2000, 20.0)
        found = effect(cells, clicks, shown, arm=1)
        apart = effect(Cells(np.arange(2000), cells.epoch, arm), clicks, shown, arm=1)
        assert found is not None
        assert apart is not None
        covered += found.interval().low <= 0 <= found.interval().high
        naive += apart.interval().low <= 0 <= apart.interval().high
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.8


def test_a_covariate_from_before_narrows_and_does_not_bias() -> None:
    generator = np.random.default_rng(13)
    gaps, covered, explained = [], 0, []
    for _ in range(400):
        cells, clicks, _, before = world(800, generator, lift=0.2)
        found = effect(cells, clicks, np.ones(800), arm=1, before=before)
        plain = effect(cells, clicks, np.ones(800), arm=1)
        assert found is not None
        assert plain is not None
        truth = 0.2 * 0.1 * 10 * 4.0
        covered += found.interval().low <= truth <= found.interval().high
        gaps.append(found.difference - truth)
        explained.append(found.explained)
        assert found.variance < plain.variance
    assert 0.92 <= covered / 400 <= 0.98
    assert np.mean(explained) > 0.3
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / 20
    constant = effect(cells, clicks, np.ones(800), arm=1, before=np.ones(800))
    assert constant is not None
    assert constant.difference == pytest.approx(plain.difference)


def test_what_cannot_be_said() -> None:
    cells = Cells(np.arange(4), np.zeros(4, dtype=np.int64), np.array([0, 0, 0, 1]))
    assert effect(cells, np.ones(4), np.ones(4), arm=1) is None, "one user has no spread"
    assert effect(cells, np.ones(4), np.ones(4), arm=2) is None
    empty = Cells(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert effect(empty, np.zeros(0), np.zeros(0), arm=1) is None
    assert np.isnan(resampled(cells, np.ones(4), np.ones(4), arm=2, draws=10).low)
    nothing = effect(Cells(np.arange(4), np.zeros(4, np.int64), np.array([0, 0, 1, 1])), np.zeros(4), np.ones(4), arm=1)
    assert nothing is not None
    assert (nothing.p, nothing.interval().low, np.isnan(nothing.relative)) == (1.0, 0.0, True)
    with pytest.raises(ContractBroken):
        effect(cells, np.array([1.0, 2.0, 3.0, np.nan]), np.ones(4), arm=1)
