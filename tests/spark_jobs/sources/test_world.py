"""The generated world keeps the source contract, tells its truth, and is the same whatever the partitions."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from spark_jobs.sources.world import World
from spark_jobs.sources.world_day import ACTS, day_of_users
from spark_jobs.sources.world_settings import WorldSettings
from spark_jobs.sources.world_truth import Truth
from tests.contracts.source import SourceContract, Tables

SMALL = WorldSettings(users=150, products=120, banners=12, brands=8, categories=3, days=14, requests_per_user_day=1.0)


class TestWorld(SourceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> World:
        return World(SMALL)

    @pytest.fixture(scope="class")
    @classmethod
    def until(cls) -> datetime:
        return datetime(2026, 1, 15, tzinfo=UTC)

    def test_lures_get_clicks_and_nothing_after_them(self, tables: Tables) -> None:
        lures = Truth(SMALL).lure_ids()
        assert lures
        kinds: dict[bool, dict[str, int]] = {True: {}, False: {}}
        for row in tables["events"].groupBy("item_id", "kind").count().collect():
            of = kinds[row["item_id"] in lures]
            of[row["kind"]] = of.get(row["kind"], 0) + row["count"]
        assert kinds[True]["click"] > 0
        assert not set(kinds[True]) & set(ACTS)
        assert set(ACTS) <= set(kinds[False])
        rates = {lure: of["click"] / of["impression"] for lure, of in kinds.items()}
        assert rates[True] > 2 * rates[False]

    def test_items_arrive_and_sell_out(self, tables: Tables) -> None:
        shelf = Truth(SMALL).products
        rows = {row["item_id"]: row["available"] for row in tables["items"].where("kind = 'product'").collect()}
        # Day 10 begins at the clock: what is first shown then is known since noon of day 9.
        assert set(rows) == {name for name, first in zip(shelf.ids, shelf.first_day, strict=True) if first <= 10}
        gone = {name for name, last in zip(shelf.ids, shelf.last_day, strict=True) if last <= 10}
        assert {name for name, available in rows.items() if not available} == gone & set(rows)
        assert len(rows) < SMALL.products
        assert gone


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_the_same_world_whatever_the_partitions(spark: SparkSession, partitions: int) -> None:
    small = SMALL.model_copy(update={"partitions": partitions, "days": 3})
    source = World(small)
    rows = source.tables(spark, datetime(2026, 1, 8, tzinfo=UTC))["events"].drop("context").toPandas()
    source.release()
    # The whole world once more without Spark, in one piece.
    truth = Truth(small)
    expected = [day_of_users(truth, day, range(small.users)).to_pandas() for day in range(3)]
    columns = ["event_id", "user_id", "item_id", "position", "dwell_ms", "value"]
    whole = pd.concat(expected)[columns].sort_values("event_id", ignore_index=True)
    pd.testing.assert_frame_equal(
        rows[columns].sort_values("event_id", ignore_index=True), whole, check_dtype=False, check_exact=True
    )


def test_another_seed_is_another_world() -> None:
    one, other = (Truth(SMALL.model_copy(update={"seed": seed})) for seed in (1, 2))
    assert not np.array_equal(one.products.brand, other.products.brand)
    assert not np.array_equal(one.taste(0), other.taste(0))


def test_clicks_happen_as_often_as_the_truth_says() -> None:
    """Observed against Σ p · bias by segment and by position: standardised differences have variance 1."""
    differences = []
    for day in range(6):
        truth = Truth(SMALL.model_copy(update={"users": 300, "requests_per_user_day": 3.0, "seed": day}))
        frame = day_of_users(truth, day, range(300)).to_pandas()
        frame = frame[frame["item_kind"] == "product"]
        shown = frame[frame["kind"] == "impression"]
        users, items = (shown[name].str[1:].astype(int).to_numpy() for name in ("user_id", "item_id"))
        positions = shown["position"].to_numpy()
        chance = truth.click_probability(users, truth.products, items, day=day) * truth.position_bias(positions)
        keys = (shown["request_id"] + shown["item_id"]).to_numpy()
        acts = frame[frame["kind"] == "click"]
        clicked = np.isin(keys, (acts["request_id"] + acts["item_id"]).to_numpy())
        for groups in (truth.segment[users], positions):
            for group in np.unique(groups):
                rows = groups == group
                spread = np.sqrt((chance[rows] * (1 - chance[rows])).sum())
                differences.append((clicked[rows].sum() - chance[rows].sum()) / spread)
    assert len(differences) == 6 * (10 + 12)
    assert np.abs(differences).max() < 5
    # 132 of them, not quite independent: the standard deviation of this mean is about 0.14.
    assert 0.6 < np.mean(np.square(differences)) < 1.4


def test_segment_rates_are_the_mean_over_users() -> None:
    truth = Truth(SMALL)
    rates = truth.segment_click_rate(truth.products, 0)
    segment = int(truth.segment[17])
    users = np.flatnonzero(truth.segment == segment)
    by_hand = [truth.click_probability(np.array([u]), truth.products, np.array([5]), day=0)[0] for u in users]
    assert rates[segment, 5] == pytest.approx(np.mean(by_hand))
    cells = truth.cell_click_rate(truth.products, 0)
    assert cells.shape == (10, SMALL.brands)
    # What is planted is what comes out: in every segment, liked brands are clicked more than disliked ones.
    taste, limit = truth.taste(0), SMALL.taste
    assert taste.min() >= 1 / limit
    assert taste.max() <= limit
    liked, disliked = cells[taste > limit**0.5], cells[taste < limit**-0.5]
    assert liked.size > 10
    assert disliked.size > 10
    assert np.nanmin(liked) > np.nanmax(disliked)


def test_tastes_drift_by_a_brand() -> None:
    truth = Truth(SMALL.model_copy(update={"drift_days": 5}))
    assert np.array_equal(truth.taste(4), truth.taste(0))
    assert np.array_equal(truth.taste(5), np.roll(truth.taste(0), 1, axis=1))
    still = Truth(SMALL)
    assert np.array_equal(still.taste(13), still.taste(0))


def test_tastes_may_drift_brand_by_brand() -> None:
    truth = Truth(SMALL.model_copy(update={"drift_days": 16, "drift_at_once": False}))
    moved = [int((truth.taste(day) != truth.taste(0)).any(axis=0).sum()) for day in (0, 2, 8, 16)]
    assert moved == [0, 1, 4, 8]
    assert np.array_equal(truth.taste(16), np.roll(truth.taste(0), 1, axis=1))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 13), st.integers(1, 149))
def test_users_may_be_made_in_pieces(day: int, cut: int) -> None:
    truth = Truth(SMALL)
    whole = day_of_users(truth, day, range(150)).column("event_id").to_pylist()
    pieces = [day_of_users(truth, day, part).column("event_id").to_pylist() for part in (range(cut), range(cut, 150))]
    assert sorted(whole) == sorted(pieces[0] + pieces[1])
