"""One double an item: sorts each list as exploration arranged it, and the whole shelf as well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_jobs.bandits.contract import F64, I64
from spark_jobs.bandits.quota import Lists, Quota, quota_places

Mask = NDArray[np.bool_]
SMALLEST = 1e-300


def explore_lists(value: F64, lists: I64, few: Mask, *, quota: Quota) -> tuple[F64, I64, I64]:
    """The final numbers of all items once every list has kept its quota.

    A promoted or held back item's number is set between those of its new neighbours; all others keep theirs. Where the
    neighbours' numbers are equal, a promoted item goes before all that have this number, one held back behind them.

    Args:
        value: (n,) numbers at least 0 to sort by, higher first; equal ones stand in the order of the rows.
        lists: (n,) the list of each row, 0, 1, …
        few: (n,) little-seen items that may be moved.
        quota: what they are owed of the first places, and what is the most.

    Returns:
        final (n,) above 0; the place of each row in its list before the quota, and after it (1-based).
    """
    value = np.maximum(value, SMALLEST)
    order = list_order(value, lists)
    blocks = Lists.of_size(np.bincount(lists))
    before = np.empty_like(order)
    before[order] = blocks.place()
    final, after = value.copy(), before.copy()
    cold = np.flatnonzero(few)
    rows = order[_heads(value[order], blocks, np.sort(blocks.start[lists[cold]] + before[cold] - 1), quota)]
    final[rows], after[rows] = _arranged(value[rows], Lists.sorted(lists[rows], blocks.size.size), few[rows], quota)
    return final, before, after


def _heads(value: F64, blocks: Lists, few: I64, quota: Quota) -> I64:
    """The rows that the quota may move, from the top of their lists, and the next of a lower number; all in list order.

    Most rows of a long list stand far below whatever is promoted: they are left alone.
    """
    if quota.share <= 0 and quota.most >= 1:
        return np.empty(0, dtype=np.int64)
    of, count = blocks.of[few], np.bincount(blocks.of[few], minlength=blocks.size.size)
    nth = np.arange(few.size) - (np.cumsum(count) - count)[of]
    owed = nth < np.ceil(quota.share * quota.top)
    end = blocks.start + np.minimum(blocks.size, quota.top)
    np.maximum.at(end, of[owed], few[owed] + 1)
    if quota.most < 1:
        end += count  # who is too many stands right behind the page
    bound = blocks.start + blocks.size
    # Equal numbers are moved past together, and the next lower one says what must be stayed above.
    falls = np.r_[np.flatnonzero(np.diff(value)) + 1, value.size]
    end = np.minimum(falls[np.searchsorted(falls, np.minimum(end, bound))] + 1, bound)
    size = np.where(count > 0, end - blocks.start, 0)
    return np.asarray(np.arange(size.sum()) + np.repeat(blocks.start - (np.cumsum(size) - size), size))


def _arranged(value: F64, blocks: Lists, few: Mask, quota: Quota) -> tuple[F64, I64]:
    """Final numbers and places of rows in list order."""
    before, after = blocks.place(), quota_places(blocks, few, quota)
    # Little-seen items keep their order among themselves, and so do the others: one that keeps its place keeps both.
    moved = few & (after != before)
    arranged = np.empty_like(before)
    arranged[blocks.start[blocks.of] + after - 1] = np.arange(value.size)
    final = value.copy()
    final[arranged] = _between(value[arranged], blocks, up=(moved & (after < before))[arranged], moved=moved[arranged])
    return final, after


def list_order(value: F64, lists: I64) -> I64:
    """(n,) rows by list, best first, equal values in the order of the rows.

    List, value and row are packed into one whole number, the last bits of the value left out where there is no room:
    one plain sort, several times as fast as sorting row numbers by two keys. What came out equal is then put right.
    """
    if not value.size:
        return np.empty(0, dtype=np.int64)
    bits = (value + 0.0).view(np.int64)  # -0.0 is 0.0
    if bits.min() < 0:
        bits = bits ^ ((bits >> 63) & np.int64(2**63 - 1))  # bits of negative numbers rise the other way
    top = bits.max()
    row_bits, value_bits = (value.size - 1).bit_length(), (int(top) - int(bits.min())).bit_length()
    cut = max(0, value_bits + row_bits + int(lists.max()).bit_length() - 64)
    key = lists.astype(np.uint64)
    key <<= np.uint64(value_bits - cut)
    key |= (top - bits).view(np.uint64) >> np.uint64(cut)
    key <<= np.uint64(row_bits)
    key |= np.arange(value.size, dtype=np.uint64)
    key.sort()
    order = (key & np.uint64((1 << row_bits) - 1)).view(np.int64)
    if cut:
        key >>= np.uint64(row_bits)
        same = key[1:] == key[:-1]
        before = np.flatnonzero(same)
        if (value[order[before]] < value[order[before + 1]]).any():
            at = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
            order[at] = order[at][np.lexsort((order[at], -value[order[at]], key[at]))]
    return order


def ranks(final: F64, lists: I64, *, guess: I64 | None = None) -> I64:
    """(n,) 1-based place of each row in its list, equal numbers in the order of the rows (sort them by item id).

    Args:
        final: (n,) numbers, higher first.
        lists: (n,) the list of each row, 0, 1, …
        guess: (n,) places that are probably right, as `explore_lists` gives them: only where they are not, or numbers
            are equal, is anything sorted.
    """
    blocks = Lists.of_size(np.bincount(lists))
    result = np.empty(final.size, dtype=np.int64)
    if guess is not None:
        result[blocks.start[lists] + guess - 1] = np.arange(final.size)
        value = final[result]
        if ((value[:-1] > value[1:]) | (blocks.of[:-1] != blocks.of[1:])).all():
            return guess
    result[list_order(final, lists)] = blocks.place()
    return result


def _between(value: F64, blocks: Lists, *, up: Mask, moved: Mask) -> F64:
    """Evenly spaced numbers for runs of moved rows, between the fixed rows around them; rows in their new order."""
    rows, fixed = np.flatnonzero(moved), np.flatnonzero(~moved)
    if not rows.size:
        return value
    # A moved row changed places with a fixed one, so its list has at least one of them. Equal fixed rows are one run.
    run_begins = (np.diff(value[fixed], prepend=np.nan) != 0) | (np.diff(blocks.of[fixed], prepend=-1) != 0)
    begin = np.flatnonzero(run_begins)
    run = np.cumsum(run_begins) - 1
    level, of = value[fixed[begin]], blocks.of[fixed[begin]]
    next_fixed = np.searchsorted(fixed, rows)
    above = run[np.maximum(next_fixed - 1, 0)] - (next_fixed == 0)
    below = np.where(next_fixed < fixed.size, run[np.minimum(next_fixed, fixed.size - 1)], begin.size)
    within = above == below
    above, below = above - (within & up[rows]), below + (within & ~up[rows])
    own = blocks.of[rows]
    first = (above < 0) | (of[np.maximum(above, 0)] != own)
    last = (below >= begin.size) | (of[np.minimum(below, begin.size - 1)] != own)
    low = np.where(last, 0.9 * level[np.maximum(above, 0)], level[np.minimum(below, begin.size - 1)])
    high = np.where(first, 1.1 * low, level[np.maximum(above, 0)])
    together = Lists.sorted(np.cumsum((np.diff(above, prepend=-2) != 0) | (np.diff(own, prepend=-1) != 0)) - 1, 0)
    result = value.copy()
    result[rows] = high - (high - low) * together.place() / (together.size[together.of] + 1)
    return result
