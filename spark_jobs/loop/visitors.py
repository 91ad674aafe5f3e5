"""Those who visit: which bucket serves them, what they would click today, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.assign import allocate, slot_of
from spark_jobs.loop.log import Mask, Places
from spark_jobs.loop.settings import ORACLE, LoopSettings
from spark_jobs.sources.world_day import Reactions, Requests, Shown, user_id
from spark_jobs.sources.world_truth import Floats, Ints, Truth

NOTHING = -1


@dataclass(frozen=True)
class Today:
    """What is true on a day.

    Attributes:
        requests: all of the day.
        bucket: of each request: number of the variant in the order of `Visitors.buckets`.
        chance: (users, items) true click probability in the first position, tired users' as it is then.
        fresh: the same if nobody were tired.
        tired: (users, items) who is tired of what.
    """

    requests: Requests
    bucket: Ints
    chance: Floats
    fresh: Floats
    tired: Mask


class Visitors:
    """All users of a world.

    Args:
        truth: what they like.
        settings: buckets and tiredness.
        variants: who is compared; the truth itself has a bucket beside them.
    """

    def __init__(self, truth: Truth, settings: LoopSettings, variants: Sequence[str]) -> None:
        self.truth, self.settings = truth, settings
        self.buckets = (*variants, ORACLE)
        owners = allocate(dict.fromkeys(self.buckets, 1.0))
        number = {name: n for n, name in enumerate(self.buckets)}
        users = range(truth.settings.users)
        self.bucket: Ints = np.array([number[owners[slot_of(user_id(n), salt=settings.salt)]] for n in users])
        self._clicked = np.full((truth.settings.users, len(truth.products.ids)), -(10**6), dtype=np.int64)

    def today(self, day: int) -> Today:
        """Requests and true chances of a day; every day before it must have been told to `did`."""
        truth = self.truth
        users, items = np.arange(truth.settings.users), np.arange(len(truth.products.ids))
        fresh = truth.click_probability(users[:, None], truth.products, items[None, :], day=day)
        tired = self._clicked >= day - self.settings.tired_days
        requests = Requests.of(truth, day, range(truth.settings.users))
        chance = fresh * np.where(tired, self.settings.tired, 1.0)
        return Today(requests, self.bucket[requests.user], chance, fresh, tired)

    def reactions(self, today: Today, shown: Shown) -> Reactions:
        """What is clicked of what is shown, and what follows."""
        user = today.requests.user[shown.row]
        eagerness = np.where(today.tired[user, shown.item], self.settings.tired, 1.0)
        return today.requests.reactions("product", shown, eagerness=eagerness)

    def did(self, today: Today, pages: Ints) -> Places:
        """Shows the pages: what was shown, clicked and done after it. From now on clicks tire.

        Args:
            today: the day.
            pages: (requests, places) numbers of items, -1 where a place is empty.
        """
        shown = shown_of(pages)
        places = Places.of(today.requests, shown, self.reactions(today, shown))
        clicks = places.where(places.clicked)
        self._clicked[clicks.user, clicks.item] = today.requests.day
        return places

    def learnt(self, places: Places) -> Places:
        """What the shop may learn from: not what the truth served."""
        return places.where(self.bucket[places.user] != self.buckets.index(ORACLE))

    def best_pages(self, today: Today) -> Ints:
        """(requests, places) the truth's own pages: honest items of the list by this user's true click probability.

        No page of honest items has more expected clicks: places multiply chances, and higher ones by more.
        """
        requests, page = today.requests, self.truth.settings.page
        on_sale = self.truth.products.shown_on(requests.day) & ~self.truth.products.lure
        pages = np.full((len(requests), page), NOTHING, dtype=np.int64)
        for category in range(self.truth.settings.categories):
            rows = np.flatnonzero(requests.category == category)
            items = np.flatnonzero(on_sale & (self.truth.products.category == category))
            order = np.argsort(-today.chance[requests.user[rows]][:, items], axis=1, kind="stable")[:, :page]
            pages[rows, : order.shape[1]] = items[order]
        return pages

    def expected(self, today: Today, pages: Ints) -> Floats:
        """(requests,) true expected clicks on honest items of each page."""
        shown = shown_of(pages)
        user = today.requests.user[shown.row]
        worth = today.chance[user, shown.item] * self.truth.position_bias(shown.position)
        worth = np.where(self.truth.products.lure[shown.item], 0.0, worth)
        return np.asarray(np.bincount(shown.row, weights=worth, minlength=len(pages)), dtype=np.float64)


def shown_of(pages: Ints) -> Shown:
    """The places of pages, row by row."""
    row, column = np.nonzero(pages != NOTHING)
    return Shown(row, pages[row, column], column + 1)


def pages_of(requests: Requests, shown: Shown, *, page: int) -> Ints:
    """(requests, places) from places that were shown."""
    pages: NDArray[np.int64] = np.full((len(requests), page), NOTHING, dtype=np.int64)
    pages[shown.row, shown.position - 1] = shown.item
    return pages
