"""The quota holds in every list, spreads its places, and leaves everything else in order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.bandits.finals import explore_lists, ranks


class Shelf:
    """Random lists with random numbers (some equal) and random little-seen items."""

    def __init__(self, seed: int) -> None:
        r = np.random.default_rng(seed)
        n = int(r.integers(1, 150))
        self.lists = r.integers(0, int(r.integers(1, 5)), n)
        self.value = r.random(n) if r.random() < 0.7 else r.random(n).round(1)
        self.few = r.random(n) < r.choice([0.0, 0.05, 0.3, 1.0])


shelves = st.integers(0, 10**6).map(Shelf)
tops = st.sampled_from([1, 5, 20, 50])
shares = st.sampled_from([0.0, 0.1, 0.25, 1.0])


@given(shelf=shelves, top=tops, share=shares)
def test_every_list_gives_the_share_it_owes(shelf: Shelf, top: int, share: float) -> None:
    _, _, after = explore_lists(shelf.value, shelf.lists, shelf.few, top=top, share=share)
    for name in np.unique(shelf.lists):
        rows = shelf.lists == name
        owed = int(np.ceil(share * min(top, rows.sum()) - 1e-9))
        assert (shelf.few & rows & (after <= top)).sum() >= min(owed, (shelf.few & rows).sum())


@given(shelf=shelves, top=tops, share=shares)
def test_places_are_a_permutation_and_order_is_kept_within_both_groups(shelf: Shelf, top: int, share: float) -> None:
    _, before, after = explore_lists(shelf.value, shelf.lists, shelf.few, top=top, share=share)
    for name in np.unique(shelf.lists):
        rows = np.flatnonzero(shelf.lists == name)
        assert sorted(after[rows]) == list(range(1, rows.size + 1))
        for group in (rows[shelf.few[rows]], rows[~shelf.few[rows]]):
            assert (np.argsort(before[group]) == np.argsort(after[group])).all()
    assert (after[shelf.few] <= before[shelf.few]).all()


@given(shelf=shelves, top=tops, share=shares)
def test_final_numbers_sort_the_list_and_only_promoted_ones_change(shelf: Shelf, top: int, share: float) -> None:
    final, before, after = explore_lists(shelf.value, shelf.lists, shelf.few, top=top, share=share)
    assert (final > 0).all()
    kept = after >= before
    assert (final[kept] == np.maximum(shelf.value[kept], 1e-300)).all()
    for name in np.unique(shelf.lists):
        rows = np.flatnonzero(shelf.lists == name)
        assert (np.diff(final[rows][np.argsort(after[rows])]) <= 0).all()
    if np.unique(shelf.value).size == shelf.value.size:
        assert (ranks(final, shelf.lists) == after).all()


def test_promoted_items_are_spread_over_the_page() -> None:
    """Fifty places, five owed: the last of each ten."""
    value = np.linspace(1.0, 0.1, 100)
    few = np.arange(100) >= 80
    final, _, after = explore_lists(value, np.zeros(100, dtype=np.int64), few, top=50, share=0.1)
    assert after[80:85].tolist() == [10, 20, 30, 40, 50]
    neighbours = sorted(final, reverse=True)
    assert neighbours[8] > final[80] > neighbours[10]


def test_an_item_good_enough_by_itself_counts_and_is_left_alone() -> None:
    value = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    final, before, after = explore_lists(
        value, np.zeros(5, dtype=np.int64), np.array([True, False, False, False, True]), top=5, share=0.2
    )
    assert (after == before).all()
    assert (final == value).all()
