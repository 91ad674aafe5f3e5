"""Who visits: buckets, tiredness, and pages that no other beats."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.loop.settings import ORACLE
from spark_jobs.loop.visitors import NOTHING, pages_of, shown_of
from tests.spark_jobs.loop.small import SETTINGS, small_world


def test_no_page_is_worth_more_than_the_truths_own() -> None:
    # So few clicks that no chance is cut off at the ceiling.
    world = small_world(click_rate=0.03)
    visitors, today = world.visitors, world.visitors.today(2)
    best = visitors.best_pages(today)
    most = visitors.expected(today, best)
    assert (best != NOTHING).all()
    # Its own regret is zero, and that of the same items in another order, or of other items, is not.
    assert (most > visitors.expected(today, best[:, ::-1])).all()
    usual = visitors.expected(today, world.warm_up(today))
    assert (most >= usual - 1e-12).all()
    assert most.sum() > 1.2 * usual.sum()
    assert not visitors.truth.products.lure[best].any()


def test_without_position_bias_only_the_items_of_a_page_count() -> None:
    world = small_world(position_decay=0.0)
    today = world.visitors.today(0)
    pages = world.warm_up(today)
    np.testing.assert_allclose(
        world.visitors.expected(today, pages), world.visitors.expected(today, pages[:, ::-1]), rtol=1e-12
    )


def test_pages_and_places_are_the_same_thing() -> None:
    world = small_world()
    today = world.visitors.today(1)
    pages = world.warm_up(today)
    pages[0, 4:] = NOTHING
    assert np.array_equal(pages_of(today.requests, shown_of(pages), page=pages.shape[1]), pages)
    assert len(shown_of(pages).row) == pages.size - 2


def test_who_has_clicked_an_item_is_tired_of_it_for_some_days() -> None:
    world = small_world()
    visitors = world.visitors
    assert not visitors.today(0).tired.any()
    today = visitors.today(0)
    places = visitors.did(today, world.warm_up(today))
    clicks = places.where(places.clicked)
    assert len(clicks)
    later = visitors.today(SETTINGS.tired_days)
    assert later.tired[clicks.user, clicks.item].all()
    assert later.tired.sum() == len(set(zip(clicks.user.tolist(), clicks.item.tolist(), strict=True)))
    ratio = later.chance[later.tired] / later.fresh[later.tired]
    np.testing.assert_allclose(ratio, SETTINGS.tired)
    assert not visitors.today(SETTINGS.tired_days + 1).tired.any()


def test_everybody_has_a_bucket_and_the_shop_learns_from_all_but_the_truths() -> None:
    world = small_world(users=1400)
    visitors = world.visitors
    sizes = np.bincount(visitors.bucket, minlength=7)
    assert len(visitors.buckets) == 7
    assert sizes.sum() == 1400
    assert sizes.min() > 140
    today = visitors.today(0)
    places = visitors.did(today, world.warm_up(today))
    learnt = visitors.learnt(places)
    names = np.array(visitors.buckets)[visitors.bucket[learnt.user]]
    assert ORACLE not in names
    assert len(learnt) == (visitors.bucket[places.user] != 6).sum()


@pytest.mark.parametrize("day", [0, 1])
def test_clicks_are_as_many_as_expected(day: int) -> None:
    world = small_world(users=3000, lure_share=0.0)
    for before in range(day):
        world.shown(world.visitors.today(before), world.warm_up(world.visitors.today(before)))
    today = world.visitors.today(day)
    pages = world.warm_up(today)
    expected = world.visitors.expected(today, pages).sum()
    clicks = world.visitors.did(today, pages).clicked.sum()
    # Clicks are sums of coins: their variance is at most their mean.
    assert abs(clicks - expected) < 4 * np.sqrt(expected)
