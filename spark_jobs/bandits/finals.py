"""One double an item: sorts each list as exploration arranged it, and the whole shelf as well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_jobs.bandits.contract import F64
from spark_jobs.bandits.quota import Lists, quota_places

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
SMALLEST = 1e-300


def explore_lists(value: F64, lists: I64, few: Mask, *, top: int, share: float) -> tuple[F64, I64, I64]:
    """The final numbers of all items once every list has kept its quota.

    A promoted item's number is set between those of its new neighbours; all others keep theirs.

    Args:
        value: (n,) numbers at least 0 to sort by, higher first; equal ones stand in the order of the rows.
        lists: (n,) the list of each row, 0, 1, …
        few: (n,) little-seen items that may be promoted.
        top: first places of each list that the quota speaks of.
        share: least share of them for little-seen items; 0 leaves everything as it is.

    Returns:
        final (n,) above 0; the place of each row in its list before the quota, and after it (1-based).
    """
    value = np.maximum(value, SMALLEST)
    order = list_order(value, lists)
    count = int(lists.max()) + 1 if lists.size else 0
    blocks = Lists.sorted(lists[order], count)
    before, after = np.empty_like(order), np.empty_like(order)
    before[order] = blocks.place()
    after[order] = quota_places(blocks, few[order], top=top, share=share)
    promoted = after < before
    arranged = np.empty_like(order)
    arranged[blocks.start[lists] + after - 1] = np.arange(order.size)
    final = value.copy()
    final[arranged] = _between(value[arranged], blocks, promoted[arranged])
    return final, before, after


def list_order(value: F64, lists: I64) -> I64:
    """(n,) rows by list, best first, equal values in the order of the rows."""
    return np.lexsort((-value, lists)).astype(np.int64)


def ranks(final: F64, lists: I64) -> I64:
    """(n,) 1-based place of each row in its list, equal numbers in the order of the rows (sort them by item id)."""
    order = list_order(final, lists)
    result = np.empty_like(order)
    result[order] = Lists.sorted(lists[order], int(lists.max()) + 1 if lists.size else 0).place()
    return result


def _between(value: F64, blocks: Lists, promoted: Mask) -> F64:
    """Evenly spaced numbers for runs of promoted rows, between the fixed rows around them; rows in their new order."""
    rows = np.flatnonzero(promoted)
    if not rows.size:
        return value
    fixed = np.where(promoted, -1, np.arange(value.size))
    above = np.maximum.accumulate(fixed)[rows]
    # A promoted row always has a fixed row below it in its list: it overtook one.
    behind = np.where(promoted, value.size, np.arange(value.size))
    below = np.minimum.accumulate(behind[::-1])[::-1][rows]
    first = above < blocks.start[blocks.of[rows]]
    low = value[below]
    high = np.where(first, low * 1.1, value[np.maximum(above, 0)])
    start = np.where(first, blocks.start[blocks.of[rows]] - 1, above)
    result = value.copy()
    result[rows] = high - (high - low) * (rows - start) / (below - start)
    return result
