"""Every click judged against the whole list it was made in: its place, and how much of the list it beats.

Formulas (r is the clicked item's place by score, ties by item hash; k the cut; C the visit's clicks): HR@k = 1[some
r ≤ k]; recall@k = share of C with r ≤ k; NDCG@k = Σ_{r ≤ k} 1/log2(r + 1) over its ideal; MRR@k = 1/r of the first
click, 0 beyond k; gAUC = AUC within the visit weighted by its clicks, which is the mean over clicks of the share of
unclicked items with a lower score (ties half).

The list of a store and week is shown to many visits and scored once for each segment among them: the work is done by
(list, segment), exactly, without writing the pairs down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
CELLS = 1 << 22


@dataclass(frozen=True)
class Visits:
    """What was shown to whom and what was clicked. Items, lists and visits are numbers 0, 1, …

    Attributes:
        list_start: (lists + 1,) where each list begins in `list_items`.
        list_items: the items of each list, each once, in the order of their hashes (`Visits.of` sees to it).
        list_of: (visits,) the list of each visit.
        click_visit: (clicks,) visit of each click, ascending.
        click_at: (clicks,) where the clicked item stands in its list, from 0.
        outside: clicks on items that are not in the visit's list; they are not judged.
    """

    list_start: I64
    list_items: I64
    list_of: I64
    click_visit: I64
    click_at: I64
    outside: int

    @classmethod
    def of(cls, *, lists: I64, items: I64, item_hash: U64, list_of: I64, click_visit: I64, click_item: I64) -> Visits:
        """From long columns in any order.

        Args:
            lists: list of each (list, item) row.
            items: item of each (list, item) row; a repeated row counts once.
            item_hash: (items,) breaks ties between equal scores, the lower first.
            list_of: (visits,) list of each visit.
            click_visit: visit of each click.
            click_item: item of each click; a repeated click counts once.
        """
        order_of = np.argsort(np.argsort(item_hash, kind="stable"), kind="stable").astype(np.int64)
        width = max(int(item_hash.size), 1)
        by_place = np.argsort(order_of)
        keys = np.unique(lists * width + order_of[items])
        count = int(max(lists.max(initial=-1), list_of.max(initial=-1))) + 1
        start = np.searchsorted(keys, np.arange(count + 1) * width).astype(np.int64)
        clicks = np.unique(click_visit * width + order_of[click_item])
        visit, place = clicks // width, clicks % width
        wanted = list_of[visit] * width + place
        found = np.searchsorted(keys, wanted)
        inside = (keys[np.minimum(found, keys.size - 1)] == wanted) if keys.size else np.zeros(wanted.size, dtype=bool)
        at = found[inside] - start[list_of[visit[inside]]]
        return cls(start, by_place[keys % width], list_of, visit[inside], at, int((~inside).sum()))

    @property
    def size(self) -> I64:
        """(visits,) how many items each visit was shown."""
        return np.asarray(np.diff(self.list_start)[self.list_of])

    def groups(self, segment_of: I64) -> Iterator[tuple[int, I64, int, I64, I64]]:
        """(segment, items of the list, number of visits, rows of their clicks, visits) of each (list, segment)."""
        clicks = np.bincount(self.click_visit, minlength=self.list_of.size)
        first = np.cumsum(clicks) - clicks
        width = int(segment_of.max(initial=0)) + 1
        keys, inverse = np.unique(self.list_of * width + segment_of, return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        bounds = np.searchsorted(inverse[order], np.arange(keys.size + 1))
        for number, key in enumerate(keys):
            visits = order[bounds[number] : bounds[number + 1]]
            name, segment = int(key) // width, int(key) % width
            rows = [np.arange(first[v], first[v] + clicks[v]) for v in visits if clicks[v]]
            items = self.list_items[self.list_start[name] : self.list_start[name + 1]]
            yield segment, items, visits.size, np.concatenate(rows) if rows else np.zeros(0, np.int64), visits


@dataclass(frozen=True)
class Clicks:
    """How the scores placed each click; NaN in `beaten` where the visit has clicks only.

    Attributes:
        place: (clicks,) 1-based place of the clicked item in its list.
        beaten: (clicks,) share of the visit's unclicked items with a lower score, ties half.
        class_place, class_beaten: the same among the items of the clicked item's class (department) alone.
    """

    place: I64
    beaten: F64
    class_place: I64
    class_beaten: F64


def judge_clicks(visits: Visits, grid: F64, segment_of: I64, item_class: I64) -> Clicks:
    """Places every click.

    Args:
        visits: the lists and clicks.
        grid: (segments, items) scores; items without a score hold -inf and stand last.
        segment_of: (visits,) row of the grid that serves each visit.
        item_class: (items,) department of each item.

    Raises:
        ContractBroken: a score is NaN.
    """
    if np.isnan(grid).any():
        raise ContractBroken("a score is NaN", hint="give items without a score -inf")
    n = visits.click_visit.size
    own, kind = np.zeros(n), np.zeros(n, dtype=np.int64)
    counts = np.zeros((n, 8), dtype=np.int64)
    for segment, items, _, rows, _ in visits.groups(segment_of):
        at, back = np.unique(visits.click_at[rows], return_inverse=True)
        scores, classes = grid[segment, items], item_class[items]
        step = max(1, CELLS // max(items.size, 1))
        parts = [_rivals(scores, classes, at[b : b + step]) for b in range(0, at.size, step)]
        if parts:
            counts[rows] = np.concatenate(parts)[back]
            own[rows], kind[rows] = scores[at][back], classes[at][back]
    # The visit's own clicks are no competitors of one another: every pair of clicks of one visit, once each way.
    one, other = _pairs(visits.click_visit)
    up, level, alike = own[other] > own[one], own[other] == own[one], kind[other] == kind[one]
    results = []
    for first, within in ((0, np.ones(one.size, dtype=bool)), (4, alike)):
        size, higher, equal, ahead = counts[:, first : first + 4].T
        mine = np.bincount(one, within, n)
        lost = higher - np.bincount(one, up & within, n) + 0.5 * (equal - np.bincount(one, level & within, n))
        with np.errstate(invalid="ignore", divide="ignore"):
            results.append((1 + higher + ahead, np.where(size > mine, 1.0 - lost / (size - mine), np.nan)))
    return Clicks(*results[0], *results[1])


def _rivals(scores: F64, classes: I64, at: I64) -> I64:
    """(clicks, 8): size, higher, equal and equal-but-ahead of the list, then of the clicked item's class in it."""
    higher, equal = scores[None, :] > scores[at][:, None], scores[None, :] == scores[at][:, None]
    ahead = equal & (np.arange(scores.size)[None, :] < at[:, None])
    peers = classes[None, :] == classes[at][:, None]
    whole = (np.full(at.size, scores.size), higher.sum(axis=1), equal.sum(axis=1), ahead.sum(axis=1))
    part = (peers, higher & peers, equal & peers, ahead & peers)
    return np.stack([*whole, *(mask.sum(axis=1) for mask in part)], axis=1).astype(np.int64)


def _pairs(group: I64) -> tuple[I64, I64]:
    """All ordered pairs of rows of one group, a row with itself included; `group` is ascending."""
    _, start, size = np.unique(group, return_index=True, return_counts=True)
    repeats = np.repeat(size, size)
    one = np.repeat(np.arange(group.size), repeats)
    within = np.arange(one.size) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return one, np.repeat(np.repeat(start, size), repeats) + within


def top_items(scores: F64, k: int) -> I64:
    """Places (from 0) of the k best of one list, best first; equal scores in list order, that of the hashes."""
    if scores.size <= k:
        return np.argsort(-scores, kind="stable").astype(np.int64)
    bar = np.partition(scores, scores.size - k)[scores.size - k]
    better = np.flatnonzero(scores > bar)
    level = np.flatnonzero(scores == bar)[: k - better.size]
    chosen = np.sort(np.concatenate([better, level]))
    return np.asarray(chosen[np.argsort(-scores[chosen], kind="stable")], dtype=np.int64)
