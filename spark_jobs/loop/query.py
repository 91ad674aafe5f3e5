"""Query time in arrays: whose list, this user's recent actions, and the same twiddlers and planner as a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from es_ranking.actions.contract import Action, ActionStore, Counts
from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.downrank import DownrankSettings
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.registry import TwiddlerSettings
from spark_jobs.loop.log import Places
from spark_jobs.loop.night import Ranked
from spark_jobs.loop.settings import LoopSettings
from spark_jobs.loop.visitors import NOTHING
from spark_jobs.sources.world_day import Requests, user_id
from spark_jobs.sources.world_truth import Ints, Truth

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_ACTIONS: Counts = {}


class Pages:
    """What users are shown from one night's ranks.

    Args:
        ranked: the night's.
        truth: the catalogue: brands and lists.
        settings: the surface, and who is served without it.
        actions: what users did lately.
    """

    def __init__(self, ranked: Ranked, truth: Truth, settings: LoopSettings, actions: ActionStore) -> None:
        self.ranked, self.truth, self.settings, self.actions = ranked, truth, settings, actions
        self.number = {truth.products.ids[n]: n for n in ranked.items.tolist()}
        self._serving: dict[str, list[str]] = {}
        self._hits: dict[tuple[str, str, int], list[Hit]] = {}
        # Most users have done nothing lately in the list they ask for: their pages are planned once.
        self._planned: dict[tuple[object, ...], list[int]] = {}

    def pages(self, requests: Requests, rows: Ints, variant: str) -> Ints:
        """(rows, places) numbers of items for some requests, as the variant serves them; -1 is an empty place."""
        if variant not in self._serving:
            self._serving[variant] = self.ranked.who.serving(variant)
        serving = self._serving[variant]
        twiddlers = () if variant in self.settings.plain else self.settings.surface.twiddlers_of(variant)
        windows = [one.window_days for one in twiddlers if isinstance(one, DownrankSettings)]
        pages = np.full((len(rows), self.truth.settings.page), NOTHING, dtype=np.int64)
        users, begins = requests.user[rows].tolist(), requests.epoch_us[rows].tolist()
        for line, (user, begin, category) in enumerate(
            zip(users, begins, requests.category[rows].tolist(), strict=True)
        ):
            hits = self._list(variant, serving[user], category)
            counts = NO_ACTIONS
            if windows:
                found = self.actions.counts(user_id(user), time_of(begin), timedelta(days=windows[0]))
                counts = {item: by for item, by in found.items() if self._stands_in(item, category)}
            told = tuple(sorted((item, *sorted(by.items())) for item, by in counts.items()))
            key = (variant, serving[user], category, told)
            if key not in self._planned:
                page = plan_page(hits, twiddlers, counts, size=pages.shape[1])
                self._planned[key] = [self.number[item] for item in page]
            page_items = self._planned[key]
            pages[line, : len(page_items)] = page_items
        return pages

    def _stands_in(self, item: str, category: int) -> bool:
        return item in self.number and int(self.truth.products.category[self.number[item]]) == category

    def _list(self, variant: str, segment: str, category: int) -> list[Hit]:
        """A list in the order of its rank field: higher first, ties by item id."""
        key = (variant, segment, category)
        if key not in self._hits:
            items, final = self.ranked.items, self.ranked.final[variant, segment]
            there = np.flatnonzero(self.truth.products.category[items] == category)
            there = there[np.argsort(-final[there], kind="stable")]
            brand = self.truth.products.brand
            self._hits[key] = [
                Hit(self.truth.products.ids[items[n]], float(final[n]), {"brand_id": (f"brand {brand[items[n]]:02d}",)})
                for n in there.tolist()
            ]
        return self._hits[key]


def plan_page(
    hits: Sequence[Hit], twiddlers: Sequence[TwiddlerSettings], counts: Mapping[str, Mapping[str, int]], *, size: int
) -> list[str]:
    """The first places of a list for one user, read as far as the planner asks, as a search reads it."""
    built = [one.build(Facts(counts)) for one in twiddlers]
    planner = Planner([one for one in built if not one.idle])
    read = planner.window(size)
    plan = planner.plan(hits[:read], size, ended=read >= len(hits))
    while plan.needs:
        plan = planner.plan(hits[: plan.needs], size, ended=plan.needs >= len(hits))
    return [entry.hit.item_id for entry in plan.order]


def record(actions: ActionStore, places: Places, truth: Truth) -> None:
    """Tells the store what users clicked and bought."""
    batch = []
    for kind, flag, after in (("click", places.clicked, 5), ("purchase", places.bought, 300)):
        rows = np.flatnonzero(flag)
        columns = (places.user[rows], places.item[rows], places.request[rows], places.at[rows])
        for user, item, request, at in zip(*(column.tolist() for column in columns), strict=True):
            name = truth.products.ids[item]
            moment = time_of(at + after * 1_000_000)
            batch.append(Action(user_id(user), name, kind, moment, f"r{request:x}-{name}-{kind}"))
    actions.record(batch)


def time_of(microseconds: int) -> datetime:
    """A UTC time from microseconds since 1970."""
    return EPOCH + timedelta(microseconds=microseconds)
