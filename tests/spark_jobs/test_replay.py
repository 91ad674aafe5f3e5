from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segments.errors import UsageError
from spark_jobs.recipe import load_recipe
from spark_jobs.replay import CONTESTANTS, replay
from spark_jobs.replay_settings import ReplaySettings
from spark_jobs.replayed_days import Days

SMALL = ReplaySettings(
    drift_days=1, warmup_days=1, days=1, users=150, products=60, brands=4, requests_per_user_day=1.0, retrain_epochs=1
)


@pytest.fixture(scope="module")
def days() -> Days:
    return Days(SMALL.world(load_recipe("world"), seed=3))


def test_the_days_are_the_worlds_own_logs(days: Days) -> None:
    one = days.between(1, 2)
    assert len(one)
    assert ((one.time >= days.midnight(1)) & (one.time < days.midnight(2))).all()
    assert len(days.between(0, 3)) == len(days.examples)
    # Every impression's true chance, summed, is near the clicks that were drawn from it.
    truth = days.truth
    users, items = np.arange(truth.settings.users), np.arange(len(truth.products.ids))
    mean = truth.click_probability(users[:, None], truth.products, items[None, :], day=1).mean()
    assert 0.3 * mean < one.label.mean() < 1.5 * mean


def test_no_order_is_worth_more_than_the_truths_own(days: Days) -> None:
    rates = days.truth.segment_click_rate(days.truth.products, 2).T
    best = days.click_rate(None, 2, top=5)
    assert best == days.click_rate(rates, 2, top=5)
    random = np.random.default_rng(1)
    others = [days.click_rate(random.random(rates.shape), 2, top=5) for _ in range(5)]
    assert max(others) < best
    assert days.click_rate(-rates, 2, top=5) < min(others)
    # Yesterday's tastes are not today's: the world drifts.
    stale = days.truth.segment_click_rate(days.truth.products, 1).T
    assert days.click_rate(stale, 2, top=5) < best


def test_a_replay_tells_every_contestant_by_day_and_draws_the_picture(tmp_path: Path) -> None:
    report = replay(load_recipe("world"), SMALL, seeds=[1, 2], folder=tmp_path)
    assert set(report["contestants"]) == set(CONTESTANTS)
    written = json.loads((tmp_path / "replay.json").read_text())
    assert written["contestants"] == json.loads(json.dumps(report["contestants"]))
    assert (tmp_path / "replay.png").read_bytes().startswith(b"\x89PNG")
    (day,) = report["days"]
    # On the first day all serve the same model; only the hourly one may have changed before its end.
    for name in CONTESTANTS[1:]:
        assert day[name]["ctr"] == day["no_update"]["ctr"]
        assert day[name]["logloss"] == day["no_update"]["logloss"]
    assert max(day["no_update"]["ctr"]) < report["best_ctr"] * 1.2
    assert sum(report["updates"]["continual_hourly"].values()) == 48
    assert sum(report["updates"]["continual_daily"].values()) == 2


def test_only_a_generated_world_can_be_replayed() -> None:
    with pytest.raises(UsageError, match="known truth"):
        SMALL.world(load_recipe("complete-journey"), seed=1)
