"""No page has more lures than it may, and nothing else changes its place among its like."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.lures.cap import cap_lures
from tests.spark_jobs.lures.test_filter import Shelf

shelves = st.integers(0, 10**6).map(Shelf)


@given(shelf=shelves, page=st.integers(1, 12), most=st.integers(1, 4))
def test_no_page_of_a_list_has_more_unless_nothing_else_is_left(shelf: Shelf, page: int, most: int) -> None:
    capped = cap_lures(shelf.value, shelf.lists, shelf.lure, page=page, most=most)
    for name in np.unique(shelf.lists):
        rows = np.flatnonzero(shelf.lists == name)
        lure = shelf.lure[rows][np.argsort(-capped[rows], kind="stable")]
        others = np.flatnonzero(~lure)
        for begin in range(0, lure.size, page):
            ends_before_the_last = others.size and begin + page <= others[-1]
            assert lure[begin : begin + page].sum() <= most or not ends_before_the_last


@given(shelf=shelves, page=st.integers(1, 12), most=st.integers(1, 4))
def test_others_keep_their_numbers_and_lures_their_order(shelf: Shelf, page: int, most: int) -> None:
    capped = cap_lures(shelf.value, shelf.lists, shelf.lure, page=page, most=most)
    assert (capped[~shelf.lure] == shelf.value[~shelf.lure]).all()
    assert (capped > 0).all()
    for name in np.unique(shelf.lists):
        rows = np.flatnonzero((shelf.lists == name) & shelf.lure)
        assert (np.argsort(-capped[rows]) == np.argsort(-shelf.value[rows])).all()


def test_one_a_page_of_three() -> None:
    """Lures a, b, c first: a stays, b begins the second page, c the third."""
    value = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    capped = cap_lures(value, np.zeros(8, dtype=np.int64), np.arange(8) < 3, page=3, most=1)
    assert np.argsort(-capped).tolist() == [0, 3, 4, 1, 5, 6, 2, 7]
