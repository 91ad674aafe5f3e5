"""Lets no more than some lures stand on each page of a list."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


def cap_lures(value: F64, lists: I64, lure: Mask, *, page: int, most: int) -> F64:
    """(n,) values by which each page of a list has at most `most` lures, as far as there are others to fill it.

    The best lures stay; those that are too many go to the next page with room, in their order. All others keep their
    values.

    Args:
        value: (n,) positive, higher stands first; equal values stand in the order of the rows.
        lists: (n,) the list of each row, 0, 1, …
        lure: (n,) which rows are lures.
        page: places of a page.
        most: lures a page may have.
    """
    result = value.copy()
    order = np.lexsort((-value, lists))
    listed = lists[order]
    for name in np.unique(lists[lure]):
        begin, end = np.searchsorted(listed, [name, name + 1])
        rows = order[begin:end]
        others, lures = rows[~lure[rows]], rows[lure[rows]]
        ahead = np.cumsum(~lure[rows], dtype=np.int64)[lure[rows]]
        after = _ahead(ahead, others.size, page=page, most=most)
        for gap in np.unique(after[after != ahead]):
            # Everything that now stands between two others is spaced evenly there.
            inside = lures[after == gap]
            high = value[others[gap - 1]]
            below = value[others[gap:]]
            lower = below[below < high]
            low = float(lower[0]) if lower.size else 0.0
            result[inside] = high - (high - low) * np.arange(1, inside.size + 1) / (inside.size + 1)
    return result


def _ahead(ahead: I64, others: int, *, page: int, most: int) -> I64:
    """(lures,) how many others must stand before each lure, given how many do."""
    places: list[int] = []
    for k, natural in enumerate(ahead.tolist()):
        place = max(natural + k, places[-1] + 1 if places else 0)
        if k >= most:
            place = max(place, page * (places[k - most] // page + 1))
        places.append(min(place, others + k))
    return np.asarray(places, dtype=np.int64) - np.arange(ahead.size)
