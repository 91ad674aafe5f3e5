"""Lists sorted by one packed key stand as two keys would sort them, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spark_jobs.bandits.finals import list_order, ranks

KINDS = {
    "any": lambda r, n: r.random(n),
    "few levels": lambda r, n: np.floor(3 * r.random(n)) / 3,
    "last bits": lambda r, n: 1.0 + np.floor(8 * r.random(n)) * 2.0**-52,
    "all sizes": lambda r, n: np.where(r.random(n) < 0.5, 0.0, np.exp(-700 * r.random(n))),
    "both signs": lambda r, n: np.where(r.random(n) < 0.3, -0.0, r.normal(size=n) * 10.0 ** r.integers(-300, 300, n)),
}


def by_two_keys(value: NDArray[np.float64], lists: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.lexsort((np.arange(value.size), -value, lists))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 200), count=st.sampled_from([1, 5, 2**40]))
def test_the_order_is_that_of_two_keys(kind: str, seed: int, n: int, count: int) -> None:
    r = np.random.default_rng(seed)
    value, lists = KINDS[kind](r, n), r.integers(0, count, n)
    assert (list_order(value, lists) == by_two_keys(value, lists)).all()


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), swaps=st.integers(0, 2))
def test_a_guess_changes_nothing_but_the_work(kind: str, seed: int, n: int, swaps: int) -> None:
    r = np.random.default_rng(seed)
    value, lists = KINDS[kind](r, n), np.sort(r.integers(0, 3, n))
    places = ranks(value, lists)
    guess = places.copy()
    for row in r.integers(0, n, swaps):
        other = np.flatnonzero(lists == lists[row])[0]
        guess[[row, other]] = guess[[other, row]]
    assert (ranks(value, lists, guess=guess) == places).all()


def test_numbers_that_differ_in_bits_that_have_no_room_are_put_right() -> None:
    """200,000 rows leave 43 bits for a number and its list: a thousand differ only below that."""
    r = np.random.default_rng(3)
    value, lists = r.random(200_000), r.integers(0, 100, 200_000)
    value[:1000] = 0.5 + np.arange(1000) * 2.0**-53
    order = by_two_keys(value, lists)
    assert (list_order(value, lists) == order).all()
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    assert (ranks(value, lists) == place - np.searchsorted(lists[order], lists) + 1).all()
