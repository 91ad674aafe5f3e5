"""What arrays count of a log, counted once more by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.loop.log import Places, evidence, exact_evidence, joined, lure_columns, sold, totals
from spark_jobs.lures.settings import LureSettings
from spark_jobs.sources.world_day import US_A_DAY
from tests.spark_jobs.loop.small import small_world


@pytest.fixture(scope="module")
def log() -> Places:
    world = small_world(users=600)
    for day in range(6):
        today = world.visitors.today(day)
        world.shown(today, world.warm_up(today))
    return world.log


def test_purchases_and_totals(log: Places) -> None:
    bought, (seen, clicks) = sold(log, day=6, items=90), totals(log, items=90)
    assert bought.sum() == log.bought.sum() > 0
    assert seen.sum() == len(log)
    item = int(clicks.argmax())
    assert clicks[item] == sum(log.clicked[log.item == item])
    assert not sold(log, day=6 + 28, items=90).any()


def test_evidence_is_by_segment_place_and_day(log: Places) -> None:
    segment = np.arange(600) % 3 - 1
    explore = ExploreSettings(evidence_days=2, position_decay=0.5)
    seen, clicks = evidence(log, segment, explore, day=6, items=90)
    assert seen.shape == clicks.shape == (2, 90)
    for number, item in ((0, 11), (1, 40)):
        rows = [
            n for n in range(len(log)) if log.day[n] >= 4 and segment[log.user[n]] == number and log.item[n] == item
        ]
        assert seen[number, item] == pytest.approx(sum(log.position[n] ** -0.5 for n in rows))
        assert clicks[number, item] == sum(bool(log.clicked[n]) for n in rows)
    everybody = exact_evidence(log, explore, day=6, items=90)
    assert everybody[0].sum() == (log.day >= 4).sum()


def test_what_follows_a_click_is_matched_by_user_and_item(log: Places) -> None:
    rule = LureSettings()
    category = np.arange(90) % 4
    found = lure_columns(log, rule, category)
    clicks = [n for n in range(len(log)) if log.clicked[n]]
    by_hand = {name: np.zeros(90) for name in ("judged", "followed", "drawn", "outside")}
    for n in clicks:
        by_hand["judged"][log.item[n]] += 1
        later = [
            m for m in clicks if log.user[m] == log.user[n] and log.item[m] == log.item[n] and log.at[m] >= log.at[n]
        ]
        assert all(log.at[m] - log.at[n] <= 28 * US_A_DAY for m in later)
        by_hand["followed"][log.item[n]] += any(log.engaged[m] or log.dwell[m] >= 10_000 for m in later)
    pairs = {(int(log.user[n]), int(log.item[n])) for n in clicks}
    for user, item in pairs:
        own = [other for one, other in pairs if one == user]
        if len(own) > 1:
            by_hand["drawn"][item] += 1
            by_hand["outside"][item] += sum(category[other] == category[item] for other in own) == 1
    for name, counts in by_hand.items():
        np.testing.assert_array_equal(found[name], counts, err_msg=name)


def test_parts_and_rows() -> None:
    world = small_world()
    today = world.visitors.today(0)
    places = world.visitors.did(today, world.warm_up(today))
    twice = joined([places, places])
    assert len(twice) == 2 * len(places)
    assert twice.where(np.arange(len(places))).at.tolist() == places.at.tolist()
