"""A week of promotions and visits small enough to know by heart."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from spark_jobs.sources.journey_weeks import DISPLAYS, MAILERS, merge_places, place_names, unpack, week_of_sightings


def places(display: str, mailer: str) -> int:
    return 1 << DISPLAYS.index(display) | 1 << (len(DISPLAYS) + MAILERS.index(mailer))


def packed(store: int, product: int, display: str, mailer: str) -> int:
    return product << 28 | store << 8 | DISPLAYS.index(display) << 4 | MAILERS.index(mailer)


def promotions() -> pa.Table:
    rows = [
        (7, packed(1, 10, "0", "A")),
        (7, packed(1, 11, "5", "0")),
        (7, packed(1, 11, "7", "0")),
        (7, packed(2, 10, "0", "H")),
        (7, packed(3, 12, "9", "0")),
    ]
    return pa.table(dict(zip(("week", "packed"), zip(*rows, strict=True), strict=True)))


def purchases() -> pa.Table:
    # Household 100 shops in stores 1 and 2, household 200 in store 1; nobody in store 3, and store 9 promotes nothing.
    rows = [(7, 1, 100, 11), (7, 1, 100, 99), (7, 2, 100, 99), (7, 1, 200, 10), (7, 1, 200, 11), (7, 9, 200, 10)]
    return pa.table(dict(zip(("week", "store_id", "household_id", "product_id"), zip(*rows, strict=True), strict=True)))


def test_all_of_a_small_week() -> None:
    rows = week_of_sightings(40, 0)(promotions(), purchases()).to_pylist()
    shown = {
        (row["store_id"], row["household_id"], row["product_id"]): (row["display"], row["mailer"], row["clicked"])
        for row in rows
        if row["household_id"] is not None
    }
    assert shown == {
        (1, 100, 10): ("0", "A", False),
        (1, 100, 11): ("5+7", "0", True),
        (1, 200, 10): ("0", "A", True),
        (1, 200, 11): ("5+7", "0", True),
        (2, 100, 10): ("0", "H", False),
    }
    assert {row["sampling_rate"] for row in rows if row["household_id"] is not None} == {1.0}
    counts = {row["product_id"]: (row["impressions"], row["clicks"]) for row in rows if row["household_id"] is None}
    assert counts == {10: (3, 1), 11: (2, 2)}


def test_a_sample_keeps_clicks_and_depends_on_the_seed_alone() -> None:
    products = np.arange(5000)
    listed = pa.table({"week": np.full(5000, 7), "packed": products << 28 | 1 << 8})
    bought = pa.table({"week": [7] * 3, "store_id": [1] * 3, "household_id": [5, 5, 6], "product_id": [3, 4999, 8000]})
    order = np.random.default_rng(0).permutation(5000)
    one, again, shuffled, other = (
        week_of_sightings(50, seed)(table, bought).to_pylist()
        for seed, table in ((1, listed), (1, listed), (1, listed.take(order)), (2, listed))
    )
    assert one == again == shuffled != other
    for household, clicked in ((5, {3, 4999}), (6, set())):
        kept = [row for row in one if row["household_id"] == household]
        assert {row["product_id"] for row in kept if row["clicked"]} == clicked
        assert {row["sampling_rate"] for row in kept if not row["clicked"]} == {0.01}
        # 50 expected, standard deviation 7.
        assert 22 <= len(kept) - len(clicked) <= 78


def test_nobody_came_or_nothing_was_promoted() -> None:
    assert week_of_sightings(40, 0)(promotions(), purchases().slice(0, 0)).num_rows == 0
    assert week_of_sightings(40, 0)(promotions().slice(0, 0), purchases()).num_rows == 0


def test_places_are_merged() -> None:
    products, merged = merge_places(np.array([5, 3, 5]), np.array([1, 2, 4]))
    assert products.tolist() == [3, 5]
    assert merged.tolist() == [2, 5]
    assert place_names(places("0", "0") | places("7", "0")) == ("7", "0")


def test_promotions_are_packed_into_one_number() -> None:
    stores, products, held = unpack(np.array([packed(34280, 18_000_000, "A", "Z"), packed(1, 2, "0", "0")]))
    assert stores.tolist() == [34280, 1]
    assert products.tolist() == [18_000_000, 2]
    assert held.tolist() == [places("A", "Z"), places("0", "0")]
