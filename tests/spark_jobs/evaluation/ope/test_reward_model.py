"""The reward model: means that lean on coarser ones, and no row predicted from its own fold."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.evaluation.ope.reward_model import RewardModel


def test_a_mean_of_few_rows_leans_on_the_coarser_one() -> None:
    place, item = np.zeros(4, dtype=np.int64), np.array([7, 7, 7, 8])
    model = RewardModel((place, item), np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 0.0, 0.0]), folds=2, strength=2.0)
    # asked by fold 1: rows of fold 0 alone, mean of the place (2 + 2 * 0.5) / (3 + 2), of item 7 on top
    coarse = (2 + 2 * 0.5) / 5
    asked = model.predict((np.zeros(2, dtype=np.int64), np.array([7, 99])), np.array([1, 1]))
    assert asked == pytest.approx([(2 + 2 * coarse) / 5, coarse])


def test_a_request_is_not_predicted_from_itself() -> None:
    keys, fold = np.zeros(6, dtype=np.int64), np.array([0, 1, 2, 0, 1, 2])
    reward = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    before = RewardModel((keys,), fold, reward, folds=3).predict((keys[:1],), fold[:1])
    changed = RewardModel((keys,), fold, reward * np.array([5, 1, 1, 5, 1, 1]), folds=3)
    assert changed.predict((keys[:1],), fold[:1]) - before == pytest.approx(10 * (10 / 6 - 2 / 6) / 14), (
        "only by the overall mean that everything leans on"
    )
