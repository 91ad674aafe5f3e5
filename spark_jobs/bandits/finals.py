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
    count = int(lists.max()) + 1 if lists.size else 0
    blocks = Lists.sorted(lists[order], count)
    before, after = np.empty_like(order), np.empty_like(order)
    before[order] = blocks.place()
    after[order] = quota_places(blocks, few[order], quota)
    # Little-seen items keep their order among themselves, and so do the others: one that keeps its place keeps both.
    moved = few & (after != before)
    arranged = np.empty_like(order)
    arranged[blocks.start[lists] + after - 1] = np.arange(order.size)
    final = value.copy()
    final[arranged] = _between(value[arranged], blocks, up=(moved & (after < before))[arranged], moved=moved[arranged])
    return final, before, after


def list_order(value: F64, lists: I64) -> I64:
    """(n,) rows by list, best first, equal values in the order of the rows."""
    order = np.argsort(-value)
    if (np.diff(value[order]) == 0).any():
        order = np.argsort(-value, kind="stable")
    # Numbers of 16 bits are sorted in one pass (radix): three times as fast as sorting by both keys at once.
    narrow = lists.astype(np.uint16) if lists.size and lists.max() < 1 << 16 else lists
    return np.asarray(order[np.argsort(narrow[order], kind="stable")], dtype=np.int64)


def ranks(final: F64, lists: I64) -> I64:
    """(n,) 1-based place of each row in its list, equal numbers in the order of the rows (sort them by item id)."""
    order = list_order(final, lists)
    result = np.empty_like(order)
    result[order] = Lists.sorted(lists[order], int(lists.max()) + 1 if lists.size else 0).place()
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
