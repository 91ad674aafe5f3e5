"""Does with lures what the recipe says: the first action that covers a list and a segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.lures.cap import cap_lures
from spark_jobs.lures.filter import sink_lures
from spark_jobs.lures.settings import LureAction

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Acted:
    """Attributes:
    value: (n,) numbers to sort by.
    last: (n,) items that were taken out of the first places.
    factor: (n,) what an item's number was multiplied by.
    """

    value: F64
    last: Mask
    factor: F64


def act_on_lures(
    value: F64, lists: I64, lure: Mask, *, names: Sequence[str], segment: str, actions: Sequence[LureAction]
) -> Acted:
    """The numbers of one segment's items once every action is done: multiplied, then capped, then sunk.

    Args:
        value: (n,) positive, higher stands first.
        lists: (n,) the list of each row, 0, 1, …
        lure: (n,) which rows are lures.
        names: (lists,) what the lists are called.
        segment: whose ranks these are.
        actions: as in the settings.
    """
    covering = [next((a for a in actions if a.covers(segment, name)), None) for name in names]
    factor, last, result = np.ones(value.size), np.zeros(value.size, dtype=np.bool_), value.copy()
    for do in ("multiply", "cap", "sink"):
        for action in dict.fromkeys(one for one in covering if one is not None and one.do == do):
            rows = lure & np.array([one == action for one in covering], dtype=np.bool_)[lists]
            before = result
            if do == "multiply":
                factor[rows] = action.factor
                result = result * np.where(rows, action.factor, 1.0)
            elif do == "cap":
                result = cap_lures(result, lists, rows, page=action.page, most=action.most)
                last |= rows & (result < before)
            else:
                result = sink_lures(result, lists, rows, top_n=action.top_n)
                last |= rows
    return Acted(result, last, factor)
