"""One day of some users of the generated world: requests, what they were shown, and what they did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_jobs.sources.world_truth import Floats, Ints, Shelf, Truth

US_A_DAY = 86_400_000_000
# Probability of each act after the click on an honest item, and seconds after the click.
ACTS = {"save": (0.10, 20), "like": (0.15, 25), "cart": (0.20, 40), "purchase": (0.08, 300), "follow": (0.02, 30)}
SEARCHES = 0.3

# Microseconds since 1970 instead of timestamps, for arithmetic; `world.py` casts them.
EVENTS = """event_id STRING, us BIGINT, user_id STRING, item_id STRING, item_kind STRING, kind STRING, surface STRING,
    request_id STRING, request_us BIGINT, position INT, search_term STRING, value DOUBLE, dwell_ms BIGINT,
    list STRING"""


def user_id(number: int) -> str:
    """The id of a user's number."""
    return f"u{number:06d}"


def category_name(number: int) -> str:
    """The last step of a category's path."""
    return f"category {number:02d}"


def day_of_users(truth: Truth, day: int, users: range) -> pa.Table:
    """All events of some users on one day (columns of `EVENTS`), the same whatever the other users do."""
    s = truth.settings
    slots = max(1, int(np.ceil(2 * s.requests_per_user_day)))
    user = np.repeat(np.arange(users.start, users.stop), slots)
    # The key of a request: nothing else in the world has it, and every later draw hangs on it.
    key = (day * s.users + user) * slots + np.tile(np.arange(slots), len(users))
    made = truth.draw("request", key) < s.requests_per_user_day / slots
    user, key = user[made], key[made]
    begins = day * US_A_DAY + (truth.draw("time", key) * (US_A_DAY - 3_600_000_000)).astype(np.int64)
    category = (truth.draw("request category", key) * s.categories).astype(np.int64)
    parts = []
    for number in range(s.categories):
        rows = np.flatnonzero(category == number)
        on_sale = np.flatnonzero(truth.products.shown_on(day) & (truth.products.category == number))
        parts.append(_page(truth, "product", rows, on_sale, size=s.page, key=key))
    running = np.flatnonzero(truth.banners.shown_on(day))
    banners = _page(truth, "banner", np.arange(len(key)), running, size=s.banner_slots, key=key)
    products = tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))
    requests = _Requests(truth, day, user, key, begins, category)
    return pa.concat_tables([*requests.events("product", *products), *requests.events("banner", *banners)])


def _page(truth: Truth, kind: str, rows: Ints, items: Ints, *, size: int, key: Ints) -> tuple[Ints, Ints, Ints]:
    """(request row, item, position) of what is shown: better items more often and higher, but all of them sometimes."""
    shelf = truth.products if kind == "product" else truth.banners
    size = min(size, len(items))
    if size == 0 or len(rows) == 0:
        return (np.empty(0, dtype=np.int64),) * 3
    # Gumbel noise on log quality: a draw without replacement, in order (Plackett and Luce).
    noise = -np.log(-np.log(truth.pair_draw(f"page of {kind}s", key[rows][:, None], items[None, :])))
    order = np.argsort(-(np.log(shelf.quality[items]) + noise), axis=1, kind="stable")[:, :size]
    return np.repeat(rows, size), items[order].ravel(), np.tile(np.arange(1, size + 1), len(rows))


class _Requests:
    """The requests of a day, and the events that follow from what they showed."""

    def __init__(self, truth: Truth, day: int, user: Ints, key: Ints, begins: Ints, category: Ints) -> None:
        self.truth, self.day, self.user, self.key, self.begins = truth, day, user, key, begins
        names = [category_name(number) for number in range(truth.settings.categories)]
        searched = truth.draw("search", key) < SEARCHES
        self.category = np.array(names, dtype=object)[category]
        self.term = self.category.copy()
        self.term[~searched] = None
        self.epoch_us = int(np.datetime64(truth.settings.start, "us").astype(np.int64))

    def events(self, kind: str, row: Ints, item: Ints, position: Ints) -> list[pa.Table]:
        """Impressions, clicks and what follows them, one table each."""
        truth, shelf = self.truth, self.truth.products if kind == "product" else self.truth.banners
        chance = truth.click_probability(self.user[row], shelf, item, day=self.day) * truth.position_bias(position)
        clicked = truth.pair_draw(f"{kind} click", self.key[row], item) < chance
        tables = [self._table(kind, "impression", shelf, row=row, item=item, position=position, after=0)]
        row, item, position = row[clicked], item[clicked], position[clicked]
        pick: dict[str, Any] = {"row": row, "item": item, "position": position}
        tables.append(self._table(kind, "click", shelf, **pick, after=5))
        lure = shelf.lure[item]
        if kind == "banner":
            return tables
        u = truth.pair_draw("dwell", self.key[row], item)
        # Honest visits last around 20 seconds, those of a lure around one and a half.
        dwell = np.where(lure, 1_500, 20_000) * (-np.log(u)) ** 0.7
        tables.append(self._table(kind, "dwell", shelf, **pick, after=10, dwell=dwell))
        for act, (probability, after) in ACTS.items():
            done = (truth.pair_draw(act, self.key[row], item) < probability) & ~lure
            some = {name: column[done] for name, column in pick.items()}
            tables.append(self._table(kind, act, shelf, **some, after=after))
        hidden = (truth.pair_draw("hide", self.key[row], item) < 0.15) & lure
        some = {name: column[hidden] for name, column in pick.items()}
        tables.append(self._table(kind, "hide", shelf, **some, after=15))
        return tables

    def _table(
        self,
        kind: str,
        act: str,
        shelf: Shelf,
        *,
        row: Ints,
        item: Ints,
        position: Ints,
        after: int,
        dwell: Floats | None = None,
    ) -> pa.Table:
        letter = kind[0]
        requests = [f"r{number:x}{letter}" for number in self.key.tolist()]
        item_ids: NDArray[Any] = np.array(shelf.ids, dtype=object)[item]
        request_ids: NDArray[Any] = np.array(requests, dtype=object)[row]
        n = len(row)
        users = np.array([user_id(number) for number in self.user.tolist()], dtype=object)
        begins = self.begins + self.epoch_us
        return pa.table(
            {
                "event_id": pa.array(
                    [f"{r}-{i}-{act}" for r, i in zip(request_ids, item_ids, strict=True)], pa.string()
                ),
                "us": pa.array(begins[row] + after * 1_000_000, pa.int64()),
                "user_id": pa.array(users[row], pa.string()),
                "item_id": pa.array(item_ids, pa.string()),
                "item_kind": pa.array([kind] * n, pa.string()),
                "kind": pa.array([act] * n, pa.string()),
                "surface": pa.array(["category" if kind == "product" else "banner-slot"] * n, pa.string()),
                "request_id": pa.array(request_ids, pa.string()),
                "request_us": pa.array(begins[row], pa.int64()),
                "position": pa.array(position, pa.int32()),
                "search_term": pa.array(self.term[row], pa.string()),
                "value": pa.array(shelf.price[item] if act == "purchase" else [None] * n, pa.float64()),
                "dwell_ms": pa.array([None] * n if dwell is None else dwell.astype(np.int64), pa.int64()),
                "list": pa.array(self.category[row], pa.string()),
            }
        )
