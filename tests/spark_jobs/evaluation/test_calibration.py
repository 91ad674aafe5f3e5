"""Calibration figures worked out by hand, and their agreement with sklearn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from segments.errors import ContractBroken
from spark_jobs.evaluation.calibration import ece, logloss, mean_ratio


def test_ece_of_two_bins_by_hand() -> None:
    """p 0.1 where 0.2 happens, p 0.5 where 0.5 happens: half the weight is off by 0.1, the click rate is 0.35."""
    label = [1, 0, 0, 0, 0] * 2 + [1, 0] * 5
    p = [0.1] * 10 + [0.5] * 10
    assert ece(label, p, bins=2) == pytest.approx(0.5 * 0.1 / 0.35)
    assert mean_ratio(label, p) == pytest.approx(6 / 7)


def test_a_sampled_row_stands_for_all_it_was_drawn_from() -> None:
    """One kept of ten, weighted ten, is as good as all ten."""
    label, p = np.r_[np.ones(3), np.zeros(40)], np.r_[np.full(3, 0.2), np.full(40, 0.05)]
    kept, weight = np.r_[np.ones(3, bool), np.arange(40) % 10 == 0], np.r_[np.ones(3), np.full(4, 10.0)]
    for figure in (ece, mean_ratio, logloss):
        assert figure(label[kept], p[kept], weight) == pytest.approx(figure(label, p, np.ones(43)))


@given(seed=st.integers(0, 10**6))
def test_order_does_not_matter_and_one_bin_is_the_overall_gap(seed: int) -> None:
    r = np.random.default_rng(seed)
    n = int(r.integers(2, 60))
    label, p, weight = (r.random(n) < 0.5) * 1.0, r.random(n).round(1), r.random(n) + 0.1
    if not label.any():
        return
    turn = r.permutation(n)
    assert ece(label, p, weight) == pytest.approx(ece(label[turn], p[turn], weight[turn]))
    assert ece(label, p, weight, bins=1) == pytest.approx(abs(mean_ratio(label, p, weight) - 1))
    assert logloss(label, p, weight) == pytest.approx(
        log_loss(label, np.clip(p, 1e-12, 1 - 1e-12), sample_weight=weight, labels=[0, 1])
    )


def test_predictions_that_are_the_truth_are_calibrated() -> None:
    r = np.random.default_rng(0)
    p = r.beta(1, 20, 400_000)
    label = (r.random(p.size) < p) * 1.0
    assert ece(label, p) < 0.03
    assert mean_ratio(label, p) == pytest.approx(1, abs=0.02)
    assert ece(label, 2 * p.clip(0, 0.5)) > 0.5


def test_no_click_no_figure() -> None:
    assert np.isnan(ece([0, 0], [0.1, 0.2]))
    assert np.isnan(mean_ratio([0, 0], [0.1, 0.2]))
    with pytest.raises(ContractBroken, match="outside"):
        ece([0, 1], [0.1, 1.2])
