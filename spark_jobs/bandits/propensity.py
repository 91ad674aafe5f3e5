"""With what probability does exploration put an item where it stands?

The place of an item is a cell: each of the first `top` places of its list is one, everything beyond them is one more.
The list is drawn again `replicates` times, the quota applied each time, and h counts the replicates in which the item
falls into the cell it is served in. Reported is (h + 1) / (replicates + 1): the served list is one more replicate. It
is never 0, and its inverse, which importance weighting uses, has mean (1 - (1 - p)^(R+1)) / p: the true 1 / p but for
cells too rare to be met.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_jobs.bandits.contract import F64, I64, Bandit, Belief
from spark_jobs.bandits.quota import Lists, Quota, quota_places

Mask = NDArray[np.bool_]
CHUNK = 1 << 20


def place_propensity(
    bandit: Bandit,
    belief: Belief,
    *,
    lists: I64,
    few: Mask,
    last: Mask,
    places: I64,
    quota: Quota,
    replicates: int,
    generator: np.random.Generator,
    factor: F64 | None = None,
) -> F64:
    """(n,) the propensity of each arm's place.

    Args:
        bandit: who draws.
        belief: of the n arms, in a fixed order (the generator hands out numbers in order).
        lists: (n,) the list of each arm, 0 … number of lists - 1.
        few: (n,) arms that the quota may move.
        last: (n,) arms moved out of the first places (lures): they stand behind all others of their list.
        places: (n,) 1-based place in which each arm is served.
        quota: applied to every drawn list; its first places are cells of their own.
        replicates: how often the lists are drawn.
        generator: keyed, see `keys.replicate_generator`.
        factor: (n,) what each arm's draw is multiplied by before it is ranked; None: 1.
    """
    if not bandit.random:
        return np.ones(places.size)
    top = quota.top
    cell = np.minimum(places, top + 1)
    factor = np.ones(places.size) if factor is None else factor
    low, high = bandit.reach(belief)
    rows = np.flatnonzero(_contenders(low * factor, high * factor, lists, few=few, last=last, quota=quota))
    hits = np.where(cell > top, replicates, 0)
    hits[rows] = _hits(bandit, belief.take(rows), lists[rows], few[rows] & ~last[rows], last[rows], cell[rows],
                       quota, replicates, generator, factor[rows])  # fmt: skip
    return np.asarray((hits + 1.0) / (replicates + 1.0))


def _hits(
    bandit: Bandit, belief: Belief, lists: I64, few: Mask, last: Mask, cell: I64,
    quota: Quota, replicates: int, generator: np.random.Generator, factor: F64,
) -> I64:  # fmt: skip
    n = lists.size
    hits = np.zeros(n, dtype=np.int64)
    if not n:
        return hits
    count = int(lists.max()) + 1
    at_once = max(1, CHUNK // n)
    for begin in range(0, replicates, at_once):
        size = min(at_once, replicates - begin)
        drawn = bandit.replicates(belief, generator, lists=lists, count=size) * factor
        # One sort for lists and draws: whole numbers are lists, fractions fall with the draw, halved to make room for
        # `last`.
        key = lists + np.where(last, 0.5, 0.0) + 0.5 / (1.0 + drawn)
        order = np.argsort(key, axis=1)
        # Lists are contiguous and equally long in every replicate: the replicates stand one after another.
        blocks = Lists.sorted(np.sort(lists), count)
        flat = Lists(
            (blocks.start + n * np.arange(size)[:, None]).ravel(),
            np.tile(blocks.size, size),
            (blocks.of + count * np.arange(size)[:, None]).ravel(),
        )
        place = quota_places(flat, few[order].ravel(), quota).reshape(size, n)
        hit = np.minimum(place, quota.top + 1) == cell[order]
        hits += np.bincount(order.ravel(), hit.ravel(), n).astype(np.int64)
    return hits


def _contenders(low: F64, high: F64, lists: I64, *, few: Mask, last: Mask, quota: Quota) -> Mask:
    """Arms that might reach the first places of their list; the others need no drawing.

    An arm is out when the most it may draw lies below the `top`-th best of what the others draw at least (among the
    little-seen: below the last one owed a place). Little-seen arms that may be held back keep nobody out.
    """
    count = int(lists.max()) + 1 if lists.size else 0
    sure = np.where(last | (few & (quota.most < 1)), -np.inf, low)
    result = high >= _kth_best(sure, lists, count, quota.top)[lists]
    owed = int(np.ceil(quota.share * quota.top))
    if owed and few.any():
        bar = _kth_best(np.where(few & ~last, low, -np.inf), lists, count, owed)
        result |= few & (high >= bar[lists])
    return np.asarray(result, dtype=np.bool_)


def _kth_best(value: F64, lists: I64, count: int, k: int) -> F64:
    """(count,) the k-th largest value of each list, -inf where there are fewer."""
    order = np.lexsort((-value, lists))
    ordered = Lists.sorted(lists[order], count)
    best = np.full(count, -np.inf)
    long = ordered.size >= k
    best[long] = value[order[ordered.start[long] + k - 1]]
    return best
