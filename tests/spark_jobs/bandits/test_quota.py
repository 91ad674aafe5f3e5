"""The quota holds in every list, spreads its places, and leaves everything else in order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.bandits.finals import explore_lists, ranks
from spark_jobs.bandits.quota import Quota, eligible


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
    _, _, after = explore_lists(shelf.value, shelf.lists, shelf.few, quota=Quota(top, share))
    for name in np.unique(shelf.lists):
        rows = shelf.lists == name
        owed = int(np.ceil(share * min(top, rows.sum()) - 1e-9))
        assert (shelf.few & rows & (after <= top)).sum() >= min(owed, (shelf.few & rows).sum())


@given(shelf=shelves, top=tops, share=shares)
def test_places_are_a_permutation_and_order_is_kept_within_both_groups(shelf: Shelf, top: int, share: float) -> None:
    _, before, after = explore_lists(shelf.value, shelf.lists, shelf.few, quota=Quota(top, share))
    for name in np.unique(shelf.lists):
        rows = np.flatnonzero(shelf.lists == name)
        assert sorted(after[rows]) == list(range(1, rows.size + 1))
        for group in (rows[shelf.few[rows]], rows[~shelf.few[rows]]):
            assert (np.argsort(before[group]) == np.argsort(after[group])).all()
    assert (after[shelf.few] <= before[shelf.few]).all()


@given(shelf=shelves, top=tops, share=shares)
def test_final_numbers_sort_the_list_and_only_promoted_ones_change(shelf: Shelf, top: int, share: float) -> None:
    final, before, after = explore_lists(shelf.value, shelf.lists, shelf.few, quota=Quota(top, share))
    assert (final > 0).all()
    kept = after >= before
    assert (final[kept] == np.maximum(shelf.value[kept], 1e-300)).all()
    # Among equal numbers a promoted item stands before all of them.
    assert (ranks(final, shelf.lists)[~kept] <= after[~kept]).all()
    if np.unique(shelf.value).size == shelf.value.size:
        assert (ranks(final, shelf.lists) == after).all()


def test_promoted_items_are_spread_over_the_page() -> None:
    """Fifty places, five owed: the last of each ten."""
    value = np.linspace(1.0, 0.1, 100)
    few = np.arange(100) >= 80
    final, _, after = explore_lists(value, np.zeros(100, dtype=np.int64), few, quota=Quota(50, 0.1))
    assert after[80:85].tolist() == [10, 20, 30, 40, 50]
    neighbours = sorted(final, reverse=True)
    assert neighbours[8] > final[80] > neighbours[10]


def test_an_item_good_enough_by_itself_counts_and_is_left_alone() -> None:
    value = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    final, before, after = explore_lists(
        value, np.zeros(5, dtype=np.int64), np.array([True, False, False, False, True]), quota=Quota(5, 0.2)
    )
    assert (after == before).all()
    assert (final == value).all()


quotas = st.builds(
    lambda top, share, more, first: Quota(top, share, min(1.0, share + more), first),
    tops, shares, st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.sampled_from([1, 3, 10]),
)  # fmt: skip


@given(shelf=shelves, quota=quotas)
def test_no_list_gives_more_than_it_may_nor_promotes_above_the_first_place(shelf: Shelf, quota: Quota) -> None:
    _, before, after = explore_lists(shelf.value, shelf.lists, shelf.few, quota=quota)
    for name in np.unique(shelf.lists):
        rows = shelf.lists == name
        few, page = shelf.few & rows, min(quota.top, int(rows.sum()))
        owed = int(np.ceil(quota.share * page - 1e-9))
        most = max(owed, int(np.floor(quota.most * page + 1e-9)))
        shown = int((few & (after <= page)).sum())
        others = int((rows & ~shelf.few).sum())
        assert shown >= min(owed, few.sum())
        # A list with too few others lets more in.
        assert shown <= max(most, page - others)
        promoted = few & (after < before)
        assert (after[promoted] > min(quota.first_place - 1, page - owed)).all()


@given(shelf=shelves, quota=quotas)
def test_final_numbers_sort_the_list_under_any_quota(shelf: Shelf, quota: Quota) -> None:
    final, before, after = explore_lists(shelf.value, shelf.lists, shelf.few, quota=quota)
    assert (final > 0).all()
    kept = ~shelf.few | (after == before)
    assert (final[kept] == np.maximum(shelf.value[kept], 1e-300)).all()
    for name in np.unique(shelf.lists):
        rows = np.flatnonzero(shelf.lists == name)
        assert sorted(after[rows]) == list(range(1, rows.size + 1))
        for group in (rows[shelf.few[rows]], rows[~shelf.few[rows]]):
            assert (np.argsort(before[group]) == np.argsort(after[group])).all()
    if np.unique(shelf.value).size == shelf.value.size:
        assert (ranks(final, shelf.lists) == after).all()


@given(shelf=shelves, quota=quotas, levels=st.integers(1, 5))
def test_floors_and_caps_hold_among_equal_numbers(shelf: Shelf, quota: Quota, levels: int) -> None:
    """Arms that nobody has seen have equal upper bounds: served is the order of the numbers, equal ones by row."""
    value = np.floor(shelf.value * levels) / levels + 0.01
    final, _, _ = explore_lists(value, shelf.lists, shelf.few, quota=quota)
    served = ranks(final, shelf.lists)
    kept = final == value
    assert kept[~shelf.few].all()
    for name in np.unique(shelf.lists):
        rows = shelf.lists == name
        few, page = shelf.few & rows, min(quota.top, int(rows.sum()))
        owed = int(np.ceil(quota.share * page - 1e-9))
        most = max(owed, int(np.floor(quota.most * page + 1e-9)))
        shown = int((few & (served <= page)).sum())
        assert min(owed, few.sum()) <= shown <= max(most, page - int((rows & ~shelf.few).sum()))


def test_items_above_the_cap_stand_right_behind_the_page() -> None:
    """Ten places, at most two of them: the third to fifth of the best five wait at places 11 to 13."""
    value = np.linspace(1.0, 0.1, 40)
    _, _, after = explore_lists(value, np.zeros(40, dtype=np.int64), np.arange(40) < 5, quota=Quota(10, most=0.2))
    assert after[:5].tolist() == [1, 2, 11, 12, 13]
    assert after[5:13].tolist() == [3, 4, 5, 6, 7, 8, 9, 10]


def test_only_items_near_enough_to_their_list_are_eligible() -> None:
    mean, lists = np.array([0.2, 0.1, 0.03, 0.02, 0.01]), np.array([0, 0, 0, 1, 1])
    assert eligible(mean, lists, least_rate=0.5).tolist() == [True, True, False, True, True]
    assert eligible(mean, lists, least_rate=0.0).all()
