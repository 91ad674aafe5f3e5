"""One week of promotions against one week of visits: who was shown what, exactly, and a sample of it.

A visit is shown every distinct product on display or in the mailer of its store and week, some 3,600 of them: 319
million impressions a year. They are counted exactly and never written down: for each visit the products are hashed
(`segments.hashing`), and those under the sampling rate are kept. All of it is numpy on one week at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segments.hashing import stir, uniforms

Ints = NDArray[np.int64]

# Bit i of a `places` number says that the product stood at place i. "0" means: no place at all.
DISPLAYS = "0123456789A"
MAILERS = "0ACDFHJLPXZ"

# Rows of two kinds share one frame, because one pass over the promotions makes both:
# impressions (household set), and exact counts of a product in a week (household null).
SIGHTINGS = """week INT, product_id BIGINT, store_id BIGINT, household_id BIGINT, display STRING, mailer STRING,
    clicked BOOLEAN, sampling_rate DOUBLE, impressions BIGINT, clicks BIGINT"""


def week_of_sightings(impressions_per_visit: int, seed: int) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """A function for `cogroup(...).applyInArrow`: (promotions of a week, purchases of a week) → sightings.

    Promotions have the columns week and packed (see `unpack`); purchases week, store_id, household_id, product_id, one
    row for each product bought in a visit.
    """

    def one_week(promotions: pa.Table, purchases: pa.Table) -> pa.Table:
        if promotions.num_rows == 0 or purchases.num_rows == 0:
            return _table(0, [], [])
        week = int(purchases["week"][0].as_py())
        shown: list[tuple[Any, ...]] = []
        counted: list[tuple[Ints, Ints, Ints]] = []
        lists = dict(_by_store(*unpack(promotions["packed"].to_numpy())))
        bought = (purchases[name].to_numpy() for name in ("store_id", "household_id", "product_id"))
        for store, (households, products) in _by_store(*bought):
            if store in lists:
                listed, places = merge_places(*lists[store])
                visits = _visits(store, week, households, products, listed)
                sampled = [_sample(visit, listed, impressions_per_visit, seed) for visit in visits]
                shown.extend((store, visit, listed, places, *kept) for visit, kept in zip(visits, sampled, strict=True))
                clicks = np.bincount(np.concatenate([visit[2] for visit in visits]), minlength=len(listed))
                counted.append((listed, np.full(len(listed), len(visits), dtype=np.int64), clicks))
        return _table(week, shown, counted)

    return one_week


def unpack(packed: Ints) -> tuple[Ints, Ints, Ints]:
    """Store, product and `places` of promotions in one number each: product · 2²⁸ + store · 2⁸ + display · 2⁴ + mailer.

    Display and mailer are indices of `DISPLAYS` and `MAILERS`. Twenty-one million rows are shuffled by week: one number
    a row halves what has to be moved.
    """
    one = np.int64(1)
    places = (one << (packed >> 4 & 15)) | (one << ((packed & 15) + len(DISPLAYS)))
    return packed >> 8 & (1 << 20) - 1, packed >> 28, places


def merge_places(products: Ints, places: Ints) -> tuple[Ints, Ints]:
    """Each product once, in order; two rows of one product become one with the places of both."""
    order = np.argsort(products, kind="stable")
    products, places = products[order], places[order]
    first = np.flatnonzero(np.r_[True, products[1:] != products[:-1]])
    return products[first], np.bitwise_or.reduceat(places, first)


def place_names(places: int) -> tuple[str, str]:
    """Display and mailer place of a `places` number: "5", "5+7", or "0" for none.

    >>> place_names(0b1 | 1 << (11 + 1))
    ('0', 'A')
    >>> place_names(1 << 5 | 1 << 7 | 0b1 | 1 << 11)
    ('5+7', '0')
    """
    displays = [name for bit, name in enumerate(DISPLAYS) if bit and places >> bit & 1]
    mailers = [name for bit, name in enumerate(MAILERS) if bit and places >> (len(DISPLAYS) + bit) & 1]
    return "+".join(displays) or "0", "+".join(mailers) or "0"


def _by_store(stores: Ints, a: Ints, b: Ints) -> Iterator[tuple[int, tuple[Ints, Ints]]]:
    order = np.argsort(stores, kind="stable")
    stores, a, b = stores[order], a[order], b[order]
    starts = np.flatnonzero(np.r_[True, stores[1:] != stores[:-1]])
    for begin, end in zip(starts, np.r_[starts[1:], len(stores)], strict=True):
        yield int(stores[begin]), (a[begin:end], b[begin:end])


def _visits(store: int, week: int, households: Ints, products: Ints, listed: Ints) -> list[tuple[int, int, Ints]]:
    """(household, key of the visit's draws, places in the list of what it bought), by household."""
    order = np.argsort(households, kind="stable")
    households, products = households[order], products[order]
    at = np.searchsorted(listed, products)
    bought = listed[np.minimum(at, len(listed) - 1)] == products
    starts = np.flatnonzero(np.r_[True, households[1:] != households[:-1]])
    keys = stir((households[starts].astype(np.uint64) << np.uint64(32)) + np.uint64(store * 64 + week))
    visits = []
    for begin, end, key in zip(starts, np.r_[starts[1:], len(households)], keys, strict=True):
        visits.append((int(households[begin]), int(key), np.unique(at[begin:end][bought[begin:end]])))
    return visits


def _sample(
    visit: tuple[int, int, Ints], listed: Ints, expected: int, seed: int
) -> tuple[Ints, NDArray[np.bool_], float]:
    """Places in the list that are kept, whether each was clicked, and the rate of those that were not."""
    _, key, clicked_at = visit
    rate = min(1.0, expected / len(listed))
    keep = uniforms(listed.astype(np.uint64) ^ np.uint64(key), seed) < rate
    clicked = np.zeros(len(listed), dtype=bool)
    clicked[clicked_at] = True
    kept = np.flatnonzero(keep | clicked)
    return kept, clicked[kept], rate


def _joined(parts: list[Any], kind: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def _table(week: int, shown: list[tuple[Any, ...]], counted: list[tuple[Ints, Ints, Ints]]) -> pa.Table:
    sizes = [len(row[4]) for row in shown]
    places = _joined([row[3][row[4]] for row in shown], np.int64)
    clicked = _joined([row[5] for row in shown], np.bool_)
    rates = np.where(clicked, 1.0, np.repeat([row[6] for row in shown], sizes))
    distinct, inverse = np.unique(places, return_inverse=True)
    names = [place_names(int(value)) for value in distinct]
    products, place = np.unique(_joined([row[0] for row in counted], np.int64), return_inverse=True)
    impressions = np.bincount(place, weights=_joined([row[1] for row in counted], np.int64)).astype(np.int64)
    clicks = np.bincount(place, weights=_joined([row[2] for row in counted], np.int64)).astype(np.int64)
    n, m = len(places), len(products)

    def pad(array: Any, kind: pa.DataType) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array(array, type=kind), pa.nulls(m, kind)])

    def lead(array: Any, kind: pa.DataType) -> pa.ChunkedArray:
        return pa.chunked_array([pa.nulls(n, kind), pa.array(array, type=kind)])

    def named(which: int) -> pa.ChunkedArray:
        words = pa.array([name[which] for name in names], type=pa.string())
        return pa.chunked_array([words.take(pa.array(inverse)), pa.nulls(m, pa.string())])

    shown_products = _joined([row[2][row[4]] for row in shown], np.int64)
    return pa.table(
        {
            "week": pa.array(np.full(n + m, week, dtype=np.int32)),
            "product_id": pa.chunked_array([pa.array(shown_products), pa.array(products)]),
            "store_id": pad(np.repeat(np.array([row[0] for row in shown], dtype=np.int64), sizes), pa.int64()),
            "household_id": pad(np.repeat(np.array([row[1][0] for row in shown], dtype=np.int64), sizes), pa.int64()),
            "display": named(0),
            "mailer": named(1),
            "clicked": pad(clicked, pa.bool_()),
            "sampling_rate": pad(rates, pa.float64()),
            "impressions": lead(impressions, pa.int64()),
            "clicks": lead(clicks, pa.int64()),
        }
    )
