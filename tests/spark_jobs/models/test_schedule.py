from __future__ import annotations

from itertools import pairwise

import pytest

from spark_jobs.models.schedule import Schedule
from spark_jobs.models.training_settings import TrainingSettings


def schedule(total: int = 100, **settings: object) -> Schedule:
    return Schedule(TrainingSettings.of({"learning_rate": 0.01, **settings}), total_steps=total)


def test_the_default_is_constant() -> None:
    found = schedule()
    found.after_epoch(improved=False)
    assert [found.at(step) for step in (0, 50, 1000)] == [1.0, 1.0, 1.0]


def test_exponential_falls_after_each_epoch() -> None:
    found = schedule(decay=0.5)
    found.after_epoch(improved=True)
    found.after_epoch(improved=False)
    assert found.at(7) == 0.25


def test_plateau_falls_after_an_epoch_without_a_gain_down_to_the_floor() -> None:
    found = schedule(schedule="plateau")
    seen = []
    for improved in (True, False, True, False, False, False, False):
        found.after_epoch(improved=improved)
        seen.append(found.at(0) * 0.01)
    assert seen == pytest.approx([1e-2, 1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])


def test_cosine_goes_from_one_to_the_floor_after_the_warm_up() -> None:
    found = schedule(110, schedule="cosine", warmup_steps=10, least_rate=1e-4)
    rates = [found.at(step) for step in range(120)]
    assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert all(one >= other for one, other in pairwise(rates[9:]))
    assert rates[60] == pytest.approx(0.505)
    assert rates[110:] == pytest.approx([0.01] * 10)
