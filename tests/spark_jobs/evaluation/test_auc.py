"""AUC and gAUC against sklearn and against pairs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from segments.errors import ContractBroken
from spark_jobs.evaluation.auc import auc, gauc


class Rows:
    def __init__(self, seed: int) -> None:
        r = np.random.default_rng(seed)
        n = int(r.integers(0, 80))
        self.label = (r.random(n) < r.random()).astype(float)
        self.score = r.random(n).round(int(r.integers(1, 3)))
        self.weight = r.integers(1, 100, n) / 7.0
        self.group = r.integers(0, 9, n)


rows = st.integers(0, 10**6).map(Rows)


@given(rows=rows)
def test_auc_equals_sklearns(rows: Rows) -> None:
    value = auc(rows.label, rows.score, rows.weight)
    if 0 < rows.label.sum() < rows.label.size:
        assert value == pytest.approx(roc_auc_score(rows.label, rows.score, sample_weight=rows.weight))
    else:
        assert np.isnan(value)


@given(rows=rows)
def test_gauc_weighs_each_groups_auc_by_its_clicks(rows: Rows) -> None:
    total = clicks = 0.0
    for name in np.unique(rows.group):
        own = rows.group == name
        y, w = rows.label[own], rows.weight[own]
        if 0 < y.sum() < y.size:
            total += (w * y).sum() * roc_auc_score(y, rows.score[own], sample_weight=w)
            clicks += (w * y).sum()
    value = gauc(rows.label, rows.score, rows.group, rows.weight)
    assert np.isnan(value) if clicks == 0 else value == pytest.approx(total / clicks)


def test_gauc_cannot_be_raised_by_what_does_not_change_an_order() -> None:
    """Adding a visit's own constant lifts pooled AUC and leaves gAUC as it is."""
    r = np.random.default_rng(1)
    group = np.repeat(np.arange(50), 20)
    activity = r.random(50)[group]
    label = (r.random(1000) < 0.4 * activity).astype(float)
    score = r.random(1000)
    assert gauc(label, score + 5 * activity, group) == pytest.approx(gauc(label, score, group))
    assert auc(label, score + 5 * activity) > auc(label, score) + 0.05


def test_names_of_groups_may_be_text() -> None:
    assert gauc([1, 0, 1, 0], [2, 1, 1, 2], ["a", "a", "b", "b"]) == 0.5


@pytest.mark.parametrize(("label", "score"), [([1, 0], [0.1]), ([1, 2], [0.1, 0.2]), ([1, 0], [0.1, float("nan")])])
def test_what_makes_no_sense_is_refused(label: list[float], score: list[float]) -> None:
    with pytest.raises(ContractBroken):
        auc(label, score)
    with pytest.raises(ContractBroken):
        gauc(label, score, [0] * len(label))
