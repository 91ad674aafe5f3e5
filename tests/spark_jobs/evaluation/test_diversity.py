"""Coverage, entropy and centrality of shelves whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.evaluation.diversity import centrality_ratio, coverage, entropy


def test_everything_shown_alike() -> None:
    shown = np.full(200, 3.0)
    assert coverage(shown, 200) == 1.0
    assert entropy(shown, 200) == pytest.approx(1.0)
    assert centrality_ratio(shown, 200) == pytest.approx(0.01)


def test_one_item_takes_all() -> None:
    shown = np.r_[50.0, np.zeros(99)]
    assert coverage(shown, 100) == pytest.approx(0.01)
    assert entropy(shown, 100) == 0.0
    assert centrality_ratio(shown, 100) == 1.0


def test_two_items_of_four() -> None:
    assert entropy(np.array([1.0, 1.0, 0.0, 0.0]), 4) == pytest.approx(0.5)


def test_nothing_shown_is_not_a_number() -> None:
    for figure in (entropy, centrality_ratio):
        assert np.isnan(figure(np.zeros(3), 3))
    assert np.isnan(coverage(np.zeros(0), 0))
