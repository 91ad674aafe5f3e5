"""Of the first places of every list, how many go to items that few have seen: at least so many, at most so many.

With `top` places (or the list's length, if shorter), q = ceil(share · top) of them owed and m = floor(most · top)
allowed, the k-th little-seen item of the list, best first, stands at place

    k ≤ q      min(its own place, h + ⌊k (top − h) / q⌋), h = first_place − 1 (less where the owed places need it)
    q < k ≤ m  its own place
    m < k      max(its own place, top + k − m)

so the owed places are spread over the page, an item good enough to stand higher by itself does, and everything else
keeps its order. A list with fewer little-seen items gives them all a place; one with too few others lets more in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Quota:
    """What little-seen items are owed of the first places of each list.

    Attributes:
        top: first places that it speaks of.
        share: least share of them, 0 … 1; 0 owes nothing.
        most: largest share of them, at least `share`; 1 is no limit.
        first_place: no item is promoted above this place.
    """

    top: int
    share: float = 0.0
    most: float = 1.0
    first_place: int = 1


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

    @classmethod
    def of_size(cls, size: I64) -> Lists:
        """Lists of so many rows, one after the other."""
        return cls(np.cumsum(size) - size, size, np.repeat(np.arange(size.size), size))

    def place(self) -> I64:
        """(n,) 1-based place of each row in its list."""
        return np.arange(self.of.size, dtype=np.int64) - self.start[self.of] + 1

    def running(self, flag: Mask) -> I64:
        """(n,) how many flagged rows the list holds up to and including each row."""
        total = np.cumsum(flag, dtype=np.int64)
        before = np.where(self.start > 0, total[np.maximum(self.start - 1, 0)], 0) if total.size else total
        return np.asarray(total - before[self.of], dtype=np.int64)


def eligible(mean: NDArray[np.float64], lists: I64, *, least_rate: float) -> Mask:
    """(n,) which items may be promoted: those believed to be clicked at least so many times the mean of their list."""
    level = np.bincount(lists, mean) / np.maximum(np.bincount(lists), 1)
    return np.asarray(mean >= least_rate * level[lists])


def quota_places(lists: Lists, few: Mask, quota: Quota) -> I64:
    """(n,) the 1-based place each row takes, rows given in list order, best first.

    Args:
        lists: the lists the rows stand in.
        few: (n,) whether the row's item is little-seen and eligible.
        quota: what they are owed, and what is the most.
    """
    place = lists.place()
    if (quota.share <= 0 and quota.most >= 1) or not few.any():
        return place
    page = np.minimum(lists.size, quota.top)
    owed, most = np.ceil(quota.share * page - 1e-9), np.floor(quota.most * page + 1e-9)
    rows = np.flatnonzero(few)
    of = lists.of[rows]
    k, total = lists.running(few)[rows], np.bincount(of, minlength=page.size)[of]
    page, owed, most = page[of], owed.astype(np.int64)[of], np.maximum(owed, most).astype(np.int64)[of]
    head = np.minimum(quota.first_place - 1, page - owed)
    slot = head + k * (page - head) // np.maximum(owed, 1)
    taken = np.where(k <= owed, np.minimum(place[rows], slot), place[rows])
    # Behind the page, but never so far that those after it find no place.
    behind = np.minimum(np.maximum(taken, page + k - most), lists.size[of] - total + k)
    taken = np.where(k > most, behind, taken)
    result = np.empty_like(place)
    result[rows] = taken
    # The others fill what is left, in their own order: both sides run through the lists in the same order.
    free = np.ones(place.size, dtype=bool)
    free[lists.start[of] + taken - 1] = False
    result[~few] = place[np.flatnonzero(free)]
    return result
