"""What groups are worth: planted tastes lift the list and the likelihood, chance does neither."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spark_jobs.evaluation.bootstrap import PairedBootstrap
from spark_jobs.features.brand_clusters import Tastes, fit_tastes
from spark_jobs.features.group_worth import lift, likelihood_gain, lists_of, silhouette
from tests.contracts.brand_groups import SETTINGS, Shoppers, shoppers

ROWS = tuple[list[str], list[str]]


def tastes_of(rows: Shoppers) -> Tastes:
    found = fit_tastes(rows.users, rows.brands, rows.counts, SETTINGS)
    assert found is not None
    return found


def chosen(tastes: Tastes, rows: Shoppers) -> np.ndarray:
    matrix = np.zeros((len(tastes.users), len(tastes.words)))
    matrix[np.searchsorted(tastes.users, rows.users), np.searchsorted(tastes.words, rows.brands)] = rows.counts
    return matrix


def test_topics_foresee_the_next_words_of_planted_tastes_alone() -> None:
    before, after = shoppers(400), shoppers(400, seed=4)
    tastes = tastes_of(before)
    planted = likelihood_gain(tastes, chosen(tastes, after))
    # A taste's own brands are about four times as likely as everybody's: log(4) at the very most.
    assert 0.4 < planted < math.log(4)
    assert math.isnan(likelihood_gain(tastes, np.zeros((400, 48))))
    noise = tastes_of(shoppers(400, own=0.0))
    assert likelihood_gain(noise, chosen(noise, shoppers(400, own=0.0, seed=4))) < 0.02


def test_a_silhouette_is_told_of_two_groups_or_more() -> None:
    points = np.repeat([[0.0, 1.0], [1.0, 0.0]], 50, axis=0) + np.random.default_rng(1).normal(0, 0.01, (100, 2))
    apart, mixed = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    assert silhouette(points, apart, seed=1) > 0.9
    assert silhouette(points, mixed, seed=1) < 0.1
    assert math.isnan(silhouette(points, np.zeros(100, dtype=np.int64), seed=1))


def test_a_list_is_judged_by_hand() -> None:
    """Two groups of two; `x` is everybody's first, then `y`; the second group alone chooses `z`."""
    before: ROWS = (["a", "b", "c", "d", "a", "b", "d", "c", "d"], ["x", "x", "x", "x", "y", "y", "y", "z", "z"])
    after: ROWS = (["a", "d", "d"], ["y", "z", "w"])
    lists = lists_of(before, after, top=2)
    assert lists.users == ["a", "b", "c", "d"]
    everyones = lists.everyones()
    # a finds y in the second place; d finds neither z nor w.
    assert everyones["ndcg"].value == pytest.approx((1 / math.log2(3) + 0.0) / 2)
    assert everyones["recall"].value == pytest.approx(0.5)
    own = lists.of_groups(np.array([0, 0, 1, 1]), prior_users=0.0)
    # The second group's list is x, z: d finds one of two in the second place.
    ideal = 1 + 1 / math.log2(3)
    assert own["ndcg"].value == pytest.approx((1 / math.log2(3) + 1 / math.log2(3) / ideal) / 2)
    assert own["recall"].value == pytest.approx((1.0 + 0.5) / 2)
    nobody = lists.of_groups(np.full(4, -1))
    assert nobody["ndcg"].value == everyones["ndcg"].value


def test_groups_of_tastes_lift_and_groups_by_chance_do_not() -> None:
    before, after = shoppers(400, chosen=8), shoppers(400, seed=4, chosen=4)
    lists = lists_of((before.users, before.brands), (after.users, after.brands), top=5)
    bootstrap = PairedBootstrap(len(lists.users), draws=300, seed=1)
    everyones = lists.everyones()["ndcg"]
    planted = np.array([before.taste[user] for user in lists.users])
    gained = lift(lists.of_groups(planted)["ndcg"], everyones, bootstrap)
    assert gained.low > 0.1
    chance = lift(lists.of_groups(np.random.default_rng(1).permutation(planted))["ndcg"], everyones, bootstrap)
    assert chance.value < 0.2 * gained.value
