"""At least a share of the first places of every list goes to items that few have seen.

With `top` places (or the list's length, if shorter) and q = ceil(share · top) of them owed, the k-th little-seen item
of the list, best first, stands at place min(its own place, ⌊k · top / q⌋), k = 1 … q: the owed places are spread over
the page, an item good enough to stand higher by itself does, and everything else keeps its order. A list with fewer
little-seen items gives them all a place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Lists:
    """Rows sorted by list: where each list begins, and how long it is.

    Attributes:
        start: (lists,) first row.
        size: (lists,) number of rows.
        of: (n,) the list of each row.
    """

    start: I64
    size: I64
    of: I64

    @classmethod
    def sorted(cls, lists: NDArray[np.int64], count: int) -> Lists:
        """From the list of each row, rows already sorted by it."""
        size = np.bincount(lists, minlength=count).astype(np.int64)
        return cls(np.cumsum(size) - size, size, lists)

    def place(self) -> I64:
        """(n,) 1-based place of each row in its list."""
        return np.arange(self.of.size, dtype=np.int64) - self.start[self.of] + 1

    def running(self, flag: Mask) -> I64:
        """(n,) how many flagged rows the list holds up to and including each row."""
        total = np.cumsum(flag, dtype=np.int64)
        before = np.where(self.start > 0, total[np.maximum(self.start - 1, 0)], 0) if total.size else total
        return np.asarray(total - before[self.of], dtype=np.int64)


def quota_places(lists: Lists, few: Mask, *, top: int, share: float) -> I64:
    """(n,) the 1-based place each row takes, rows given in list order, best first.

    Args:
        lists: the lists the rows stand in.
        few: (n,) whether the row's item is little-seen and may be promoted.
        top: first places of each list that the quota speaks of.
        share: least share of them, 0 … 1.
    """
    place = lists.place()
    if share <= 0 or not few.any():
        return place
    pages = np.minimum(lists.size, top)
    owed = np.ceil(share * pages - 1e-9).astype(np.int64)
    rows = np.flatnonzero(few)
    k = lists.running(few)[rows]
    page, quota = pages[lists.of[rows]], owed[lists.of[rows]]
    slot = np.where(k <= quota, k * page // np.maximum(quota, 1), place[rows])
    taken = np.minimum(place[rows], slot)
    result = np.empty_like(place)
    result[rows] = taken
    # The others fill what is left, in their own order: both sides run through the lists in the same order.
    free = np.ones(place.size, dtype=bool)
    free[lists.start[lists.of[rows]] + taken - 1] = False
    left = np.flatnonzero(free)
    result[~few] = place[left]
    return result
