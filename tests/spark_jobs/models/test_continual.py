from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segments.errors import UsageError
from spark_jobs.models.activity import RULES, Activity, limit_at
from spark_jobs.models.checkpoint import Checkpoint, load
from spark_jobs.models.continual import HOUR, held_out, keep, logloss_of, update
from spark_jobs.models.continual_settings import ContinualSettings
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples
from spark_jobs.models.settings import FMSettings
from spark_jobs.models.training import refit
from tests.contracts.ranker import SCHEMA, TRAINING, examples

NOON = 1_700_000_000_000_000 // (24 * HOUR) * 24 * HOUR + 12 * HOUR
SETTINGS = ContinualSettings(learning_rate=0.01, min_clicks=5)


def lately(n: int, *, seed: int, flipped: bool = False) -> Examples:
    """Visits of the last three hours; with `flipped`, clicks are what were none."""
    found = examples(n, seed=seed)
    time = NOON - 1 - (np.arange(n) * 2 * HOUR // n)
    return replace(found, time=time.astype(np.int64), label=1.0 - found.label if flipped else found.label)


@pytest.fixture(scope="module")
def served() -> Checkpoint:
    settings = FMSettings(dim=4)
    done = refit(settings, Encoder(SCHEMA), train=examples(2000), epochs=2, settings=TRAINING)
    return Checkpoint(settings, done.encoder, done.model, state=done.state)


def test_an_update_that_helps_is_taken_and_one_that_harms_is_kept_aside(served: Checkpoint, tmp_path: Path) -> None:
    moved = lately(2000, seed=5, flipped=True)
    weights = {name: value.clone() for name, value in served.model.state_dict().items()}
    good = update(served, moved, SETTINGS, training=TRAINING, clock=NOON, usual_per_hour=100.0)
    assert good.accepted
    assert good.serving is good.candidate
    assert float(str(good.figures["logloss_after"])) < float(str(good.figures["logloss_before"]))
    assert good.figures["multiplier"] == 5.0
    assert all(torch.equal(served.model.state_dict()[name], weights[name]) for name in weights), "the old one changed"
    # What it has learnt is wrong for visits that are held out: their labels are the old ones.
    apart = held_out(moved.group, SETTINGS.held_out)
    torn = replace(moved, label=np.where(apart, 1.0 - moved.label, moved.label))
    bad = update(served, torn, SETTINGS, training=TRAINING, clock=NOON, usual_per_hour=100.0)
    assert not bad.accepted
    assert bad.serving is served
    assert "would rise" in str(bad.figures["reason"])
    keep(bad, tmp_path)
    judge = torn.where(apart)
    assert logloss_of(load(tmp_path), judge) == pytest.approx(float(str(bad.figures["logloss_before"])))
    assert logloss_of(load(tmp_path / "refused"), judge) == pytest.approx(float(str(bad.figures["logloss_after"])))
    assert json.loads((tmp_path / "update.json").read_text())["accepted"] is False
    keep(good, tmp_path)
    assert not (tmp_path / "refused").exists()
    assert load(tmp_path, training=True).state.keys() == good.serving.state.keys() != set()


def test_only_the_window_is_read_and_held_out_visits_are_never_learnt_from(served: Checkpoint) -> None:
    found = lately(1500, seed=6)
    done = update(served, found, SETTINGS, training=TRAINING, clock=NOON)
    late = replace(found, time=np.concatenate([found.time[:700], np.full(800, NOON)]))
    fewer = update(served, late, SETTINGS, training=TRAINING, clock=NOON)
    assert int(str(fewer.figures["rows"])) + int(str(fewer.figures["held_out_rows"])) == 700
    apart = held_out(found.group, SETTINGS.held_out)
    assert done.figures["held_out_rows"] == apart.sum()
    # Other labels of the held-out visits change the verdict's figures, never the network.
    other = replace(found, label=np.where(apart, 1.0 - found.label, found.label))
    again = update(served, other, SETTINGS, training=TRAINING, clock=NOON)
    assert done.candidate is not None
    assert again.candidate is not None
    mine, theirs = done.candidate.model.state_dict(), again.candidate.model.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert again.figures["logloss_before"] != done.figures["logloss_before"]


def test_too_few_clicks_or_no_visit_at_all_keep_what_serves(served: Checkpoint) -> None:
    none = examples(300).where(np.zeros(300, dtype=np.bool_))
    for recent in (none, lately(30, seed=8)):
        done = update(served, recent, ContinualSettings(min_clicks=1000), training=TRAINING, clock=NOON)
        assert done.serving is served
        assert "held-out clicks" in str(done.figures["reason"])


def test_the_rules_know_day_and_night() -> None:
    limits = {"day_from": 7, "night_from": 22, "day_limit": 5.0, "night_limit": 2.0}
    assert [limit_at(hour, **limits) for hour in (6, 7, 21, 22, 0)] == [2.0, 5.0, 5.0, 2.0, 2.0]  # type: ignore[arg-type]
    across = {**limits, "day_from": 20, "night_from": 4}
    assert [limit_at(hour, **across) for hour in (19, 20, 3, 4)] == [2.0, 5.0, 5.0, 2.0]  # type: ignore[arg-type]
    assert RULES["activity"](Activity(50.0, 100.0, 5.0)) == 2.5
    assert RULES["root"](Activity(25.0, 100.0, 5.0)) == 2.5
    with pytest.raises(UsageError, match="known: activity, constant, root"):
        ContinualSettings.of({"rule": "nonsense"})


@given(
    name=st.sampled_from(sorted(RULES)),
    seen=st.floats(0, 1e9),
    usual=st.floats(0, 1e9),
    limit=st.floats(1.0, 10.0),
)
def test_no_rule_leaves_its_limits(name: str, seen: float, usual: float, limit: float) -> None:
    assert 1.0 <= RULES[name](Activity(seen, usual, limit)) <= limit
