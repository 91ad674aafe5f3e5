"""What a night is told of: sums by bucket, from which rates are made; and how far new items are from their place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spark_jobs.bandits.finals import ranks
from spark_jobs.evaluation.diversity import coverage, entropy
from spark_jobs.loop.log import Places
from spark_jobs.loop.night import Ranked
from spark_jobs.loop.visitors import NOTHING, Today, Visitors
from spark_jobs.sources.world_truth import Floats, Ints, Truth

GAP = 3
Figures = dict[str, dict[str, float]]


def told(visitors: Visitors, today: Today, pages: Ints, places: Places) -> Figures:
    """Bucket → sums of one day.

    users (of the bucket, whether they came or not), requests, shown, clicks, honest_clicks, purchases; expected (true
    expected clicks on honest items of the pages served) and best (of the truth's own pages for the same requests);
    lures, repeats (the user has clicked the item within the days that he is tired of it) and close (another item of
    the brand stands less than three places above), in places; coverage and entropy of the day.
    """
    truth = visitors.truth
    expected, best = visitors.expected(today, pages), visitors.expected(today, visitors.best_pages(today))
    candidates = int(truth.products.shown_on(today.requests.day).sum())
    bucket = visitors.bucket[places.user]
    lure = truth.products.lure[places.item]
    close = _close(pages, truth)
    found: Figures = {}
    for number, name in enumerate(visitors.buckets):
        own, rows = today.bucket == number, bucket == number
        shown = np.bincount(places.item[rows], minlength=len(lure)).astype(np.float64)
        found[name] = {
            "users": float((visitors.bucket == number).sum()),
            "requests": float(own.sum()),
            "shown": float(rows.sum()),
            "clicks": float(places.clicked[rows].sum()),
            "honest_clicks": float((places.clicked & ~lure)[rows].sum()),
            "purchases": float(places.bought[rows].sum()),
            "expected": float(expected[own].sum()),
            "best": float(best[own].sum()),
            "lures": float(lure[rows].sum()),
            "repeats": float(today.tired[places.user[rows], places.item[rows]].sum()),
            "close": float(close[own].sum()),
            "coverage": coverage(shown, candidates),
            "entropy": entropy(shown, candidates),
        }
    return found


def newcomers(ranked: Ranked, today: Today, truth: Truth, *, since: int) -> Mapping[str, Floats]:
    """How far the ranks of new honest items are from the place that the truth would give them.

    The truth of a segment is the mean true click probability of its users; the items of a list are put in its order.

    Args:
        ranked: tonight's.
        today: the day it serves.
        truth: of the world.
        since: items first shown on this day or later are new.

    Returns:
        variant → (3, items), NaN where an item is not new or not there: the mean over users of
        |place − true place| / length of the list; the share of users on whose segment's first page it belongs; and the
        share of users on whose segment's first page it both belongs and stands.
    """
    shelf, page = truth.products, truth.settings.page
    new = (shelf.first_day >= since) & ~shelf.lure
    lists = shelf.category[ranked.items]
    length = np.bincount(lists, minlength=truth.settings.categories)[lists]
    found = {}
    for variant in dict.fromkeys(name for name, _ in ranked.final):
        serving = np.array(ranked.who.serving(variant))
        sums = np.zeros((3, len(ranked.items)))
        for segment in np.unique(serving).tolist():
            users = np.flatnonzero(serving == segment)
            true = ranks(today.fresh[users][:, ranked.items].mean(axis=0), lists)
            place = ranked.place[variant, segment]
            there = true <= page
            sums += len(users) * np.stack([np.abs(place - true) / length, there, there & (place <= page)])
        told = np.full((3, len(shelf.ids)), np.nan)
        told[:, ranked.items] = sums / len(serving)
        told[:, ~new] = np.nan
        found[variant] = told
    return found


def _close(pages: Ints, truth: Truth) -> NDArray[np.int64]:
    """(requests,) places with an item of the same brand less than three places above."""
    brand = np.where(pages == NOTHING, -1, truth.products.brand[pages])
    near = np.zeros(pages.shape, dtype=bool)
    for step in range(1, GAP):
        near[:, step:] |= (brand[:, step:] == brand[:, :-step]) & (brand[:, step:] >= 0)
    return np.asarray(near.sum(axis=1), dtype=np.int64)
