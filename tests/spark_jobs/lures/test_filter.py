"""Lures leave the first places, and nothing else moves against anything else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.lures.filter import sink_lures


class Shelf:
    def __init__(self, seed: int) -> None:
        r = np.random.default_rng(seed)
        n = int(r.integers(1, 120))
        self.lists = r.integers(0, int(r.integers(1, 5)), n)
        self.value = r.random(n) + 0.01
        self.lure = r.random(n) < r.choice([0.0, 0.1, 0.5, 1.0])
        self.top_n = int(r.integers(1, 40))


shelves = st.integers(0, 10**6).map(Shelf)


@given(shelf=shelves)
def test_no_lure_stands_before_the_last_of_the_first_honest_items(shelf: Shelf) -> None:
    """In each list and in the whole: behind the N-th honest item, or behind all of them where there are fewer."""
    sunk = sink_lures(shelf.value, shelf.lists, shelf.lure, top_n=shelf.top_n)
    groups = [np.flatnonzero(shelf.lists == name) for name in np.unique(shelf.lists)]
    for rows in [*groups, np.arange(sunk.size)]:
        honest = np.sort(sunk[rows][~shelf.lure[rows]])[::-1]
        if honest.size and shelf.lure[rows].any():
            assert sunk[rows][shelf.lure[rows]].max() < honest[min(shelf.top_n, honest.size) - 1]


@given(shelf=shelves)
def test_honest_items_keep_their_numbers_and_lures_never_rise(shelf: Shelf) -> None:
    sunk = sink_lures(shelf.value, shelf.lists, shelf.lure, top_n=shelf.top_n)
    assert (sunk[~shelf.lure] == shelf.value[~shelf.lure]).all()
    assert (sunk <= shelf.value).all()
    assert (sunk > 0).all()


def test_a_lure_that_sinks_stands_right_behind_and_one_low_enough_stays() -> None:
    value = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    lure = np.array([True, False, True, False, False, True])
    sunk = sink_lures(value, np.zeros(6, dtype=np.int64), lure, top_n=2)
    assert np.argsort(-sunk).tolist() == [1, 3, 0, 2, 4, 5]
    assert sunk[5] == 0.4


def test_the_best_list_of_the_shop_cannot_hide_its_lure() -> None:
    """Its three items are all better than any other's, but the whole shop's first places are closed as well."""
    value = np.r_[0.99, 0.98, 0.97, np.linspace(0.5, 0.1, 50)]
    lists = np.r_[0, 0, 0, np.ones(50, dtype=np.int64)]
    sunk = sink_lures(value, lists, np.arange(53) == 0, top_n=10)
    assert (sunk > sunk[0]).sum() == 10
