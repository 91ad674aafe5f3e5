"""Takes lures out of the first places by lowering the number they are sorted by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


def sink_lures(value: F64, lists: I64, lure: Mask, *, top_n: int) -> F64:
    """(n,) values by which every lure stands behind the `top_n` best honest items of its list, and of the whole.

    Where there are fewer honest items, lures stand behind them all. Honest items keep their values, lures already low
    enough keep theirs, and lures that sink keep their order among themselves.

    Args:
        value: (n,) positive, higher stands first; equal values stand in the order of the rows.
        lists: (n,) the list of each row, 0, 1, …
        lure: (n,) which rows are lures.
        top_n: places that are closed to lures.
    """
    if not lure.any():
        return value.copy()
    sunk = _sink(value, lists, lure, top_n)
    return _sink(sunk, np.zeros_like(lists), lure, top_n)


def _sink(value: F64, lists: I64, lure: Mask, top_n: int) -> F64:
    result = value.copy()
    order = np.lexsort((-value, lists))
    ordered, listed = lure[order], lists[order]
    for name in np.unique(lists[lure]):
        begin, end = np.searchsorted(listed, [name, name + 1])
        rows, is_lure = order[begin:end], ordered[begin:end]
        honest = rows[~is_lure]
        if not honest.size:
            continue
        last = min(top_n, honest.size) - 1
        bar = value[honest[last]]
        sinking = rows[is_lure & (value[rows] >= bar)]
        lower = value[honest[last + 1 :]]
        below = lower[lower < bar]
        floor = float(below[0]) if below.size else 0.0
        steps = np.arange(1, sinking.size + 1) / (sinking.size + 1)
        result[sinking] = bar - (bar - floor) * steps
    return result
