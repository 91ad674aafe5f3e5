"""Groups keep their numbers: from one snapshot to the next, and from one night to the next, by the users they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Numbers = NDArray[np.int64]


def stable_numbers(people: Sequence[str], numbers: Numbers, before: Mapping[str, int]) -> Numbers:
    """Groups renumbered to those before that they share most users with (Hungarian method, Kuhn 1955).

    A group that shares nobody with any free number gets one that was never used.
    """
    if not before or not len(numbers):
        return numbers
    taken = max(before.values()) + 1
    shared = np.zeros((int(numbers.max()) + 1, taken))
    for user, number in zip(people, numbers.tolist(), strict=True):
        if user in before:
            shared[number, before[user]] += 1
    rows, columns = linear_sum_assignment(shared, maximize=True)
    renamed = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    fresh = iter(range(taken, taken + len(shared)))
    final = [renamed[n] if n in renamed and shared[n, renamed[n]] > 0 else next(fresh) for n in range(len(shared))]
    return np.asarray(final, dtype=np.int64)[numbers]


def last_nights_numbers(
    people: Sequence[str], numbers: Numbers, before: Mapping[str, int], *, others: Iterable[int]
) -> dict[int, int]:
    """What tonight's numbers become so that its groups are called as they were last night.

    Args:
        people, numbers: who is in which group now.
        before: who was in which group last night; empty if there was no such night.
        others: numbers of tonight's older snapshots; one that no group has now gives way to those that have one.

    Returns:
        A new number for each number, one to one.
    """
    new = stable_numbers(people, numbers, before).tolist()
    renamed = dict(zip(numbers.tolist(), new, strict=True))
    free = set(others) - set(renamed)
    taken = set(renamed.values())
    for number in sorted(free):
        renamed[number] = next(one for one in chain((number,), count(max(taken | free) + 1)) if one not in taken)
        taken.add(renamed[number])
    return renamed
