"""One day of some users of the generated world: requests, what they were shown, and what they did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_jobs.sources.world_truth import Floats, Ints, Shelf, Truth

US_A_DAY = 86_400_000_000
# Probability of each act after the click on an honest item, and seconds after the click.
ACTS = {"save": (0.10, 20), "like": (0.15, 25), "cart": (0.20, 40), "purchase": (0.08, 300), "follow": (0.02, 30)}
HIDES = (0.15, 15)
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
    requests = Requests.of(truth, day, users)
    products, banners = requests.usual_page(), requests.usual_banners()
    return pa.concat_tables(
        [
            *requests.events("product", products, requests.reactions("product", products)),
            *requests.events("banner", banners, requests.reactions("banner", banners)),
        ]
    )


@dataclass(frozen=True)
class Shown:
    """The places that requests showed, one row each.

    Attributes:
        row: whose request, as a row of the requests.
        item: its number.
        position: from 1.
    """

    row: Ints
    item: Ints
    position: Ints


@dataclass(frozen=True)
class Reactions:
    """What followed, as rows of what was shown.

    Attributes:
        clicked: the clicks.
        dwell: how long each of them lasted, milliseconds; None where nobody measures it (banners).
        acts: what else was done, after which clicks: save, like, cart, purchase, follow, hide.
    """

    clicked: Ints
    dwell: Ints | None = None
    acts: dict[str, Ints] = field(default_factory=dict)


@dataclass(frozen=True)
class Requests:
    """The requests of some users on one day.

    Attributes:
        truth: of the world.
        day: counted from its first.
        user: who asks.
        key: a number that nothing else in the world has; every later draw hangs on it.
        begins: microseconds after the world's beginning.
        category: the list that is asked for.
    """

    truth: Truth
    day: int
    user: Ints
    key: Ints
    begins: Ints
    category: Ints

    @classmethod
    def of(cls, truth: Truth, day: int, users: range) -> Requests:
        """Who asks for what, and when."""
        s = truth.settings
        slots = max(1, int(np.ceil(2 * s.requests_per_user_day)))
        user = np.repeat(np.arange(users.start, users.stop), slots)
        key = (day * s.users + user) * slots + np.tile(np.arange(slots), len(users))
        made = truth.draw("request", key) < s.requests_per_user_day / slots
        user, key = user[made], key[made]
        begins = day * US_A_DAY + (truth.draw("time", key) * (US_A_DAY - 3_600_000_000)).astype(np.int64)
        category = (truth.draw("request category", key) * s.categories).astype(np.int64)
        return cls(truth, day, user, key, begins, category)

    def __len__(self) -> int:
        return len(self.key)

    @property
    def epoch_us(self) -> Ints:
        """When each begins: microseconds since 1970."""
        return self.begins + int(np.datetime64(self.truth.settings.start, "us").astype(np.int64))

    def ids(self, kind: str) -> NDArray[Any]:
        """The request ids that events of a kind of item bear."""
        return np.array([f"r{number:x}{kind[0]}" for number in self.key.tolist()], dtype=object)

    def usual_page(self) -> Shown:
        """The products that the world's own shop shows: better ones more often and higher, but all sometimes."""
        parts = []
        for number in range(self.truth.settings.categories):
            rows = np.flatnonzero(self.category == number)
            shelf = self.truth.products
            on_sale = np.flatnonzero(shelf.shown_on(self.day) & (shelf.category == number))
            parts.append(self._page("product", rows, on_sale, size=self.truth.settings.page))
        return Shown(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def usual_banners(self) -> Shown:
        """The banners that the world's own shop shows, drawn in the same way."""
        running = np.flatnonzero(self.truth.banners.shown_on(self.day))
        return Shown(*self._page("banner", np.arange(len(self)), running, size=self.truth.settings.banner_slots))

    def _page(self, kind: str, rows: Ints, items: Ints, *, size: int) -> tuple[Ints, Ints, Ints]:
        shelf = self._shelf(kind)
        size = min(size, len(items))
        if size == 0 or len(rows) == 0:
            return (np.empty(0, dtype=np.int64),) * 3
        # Gumbel noise on log quality: a draw without replacement, in order (Plackett and Luce).
        noise = -np.log(-np.log(self.truth.pair_draw(f"page of {kind}s", self.key[rows][:, None], items[None, :])))
        order = np.argsort(-(np.log(shelf.quality[items]) + noise), axis=1, kind="stable")[:, :size]
        return np.repeat(rows, size), items[order].ravel(), np.tile(np.arange(1, size + 1), len(rows))

    def reactions(self, kind: str, shown: Shown, *, eagerness: Floats | float = 1.0) -> Reactions:
        """Who clicks what, and what follows.

        Args:
            kind: of item.
            shown: the places.
            eagerness: (n,) what the truth's click probability is multiplied by besides the position: tired users.
        """
        truth, shelf = self.truth, self._shelf(kind)
        key, item = self.key[shown.row], shown.item
        chance = truth.click_probability(self.user[shown.row], shelf, item, day=self.day) * eagerness
        clicked = np.flatnonzero(
            truth.pair_draw(f"{kind} click", key, item) < chance * truth.position_bias(shown.position)
        )
        if kind == "banner":
            return Reactions(clicked)
        key, item = key[clicked], item[clicked]
        lure = shelf.lure[item]
        # Honest visits last around 20 seconds, those of a lure around one and a half.
        u = truth.pair_draw("dwell", key, item)
        dwell = np.where(lure, 1_500, 20_000) * (-np.log(u)) ** 0.7
        acts = {
            act: clicked[(truth.pair_draw(act, key, item) < probability) & ~lure]
            for act, (probability, _) in ACTS.items()
        }
        acts["hide"] = clicked[(truth.pair_draw("hide", key, item) < HIDES[0]) & lure]
        return Reactions(clicked, dwell.astype(np.int64), acts)

    def events(self, kind: str, shown: Shown, reactions: Reactions) -> list[pa.Table]:
        """Impressions, clicks and what follows them, one table each (columns of `EVENTS`)."""
        everything = np.arange(len(shown.row))
        tables = [
            self._table(kind, "impression", shown, everything, after=0),
            self._table(kind, "click", shown, reactions.clicked, after=5),
        ]
        if reactions.dwell is not None:
            tables.append(self._table(kind, "dwell", shown, reactions.clicked, after=10, dwell=reactions.dwell))
        after = {act: seconds for act, (_, seconds) in {**ACTS, "hide": HIDES}.items()}
        return [*tables, *(self._table(kind, act, shown, at, after=after[act]) for act, at in reactions.acts.items())]

    def _shelf(self, kind: str) -> Shelf:
        return self.truth.products if kind == "product" else self.truth.banners

    def _table(self, kind: str, act: str, shown: Shown, at: Ints, *, after: int, dwell: Ints | None = None) -> pa.Table:
        shelf, truth = self._shelf(kind), self.truth
        row, item, position = shown.row[at], shown.item[at], shown.position[at]
        item_ids: NDArray[Any] = np.array(shelf.ids, dtype=object)[item]
        request_ids = self.ids(kind)[row]
        n = len(row)
        users = np.array([user_id(number) for number in self.user.tolist()], dtype=object)
        names = [category_name(number) for number in range(truth.settings.categories)]
        category = np.array(names, dtype=object)[self.category]
        term = category.copy()
        term[truth.draw("search", self.key) >= SEARCHES] = None
        return pa.table(
            {
                "event_id": pa.array(
                    [f"{r}-{i}-{act}" for r, i in zip(request_ids, item_ids, strict=True)], pa.string()
                ),
                "us": pa.array(self.epoch_us[row] + after * 1_000_000, pa.int64()),
                "user_id": pa.array(users[row], pa.string()),
                "item_id": pa.array(item_ids, pa.string()),
                "item_kind": pa.array([kind] * n, pa.string()),
                "kind": pa.array([act] * n, pa.string()),
                "surface": pa.array(["category" if kind == "product" else "banner-slot"] * n, pa.string()),
                "request_id": pa.array(request_ids, pa.string()),
                "request_us": pa.array(self.epoch_us[row], pa.int64()),
                "position": pa.array(position, pa.int32()),
                "search_term": pa.array(term[row], pa.string()),
                "value": pa.array(shelf.price[item] if act == "purchase" else [None] * n, pa.float64()),
                "dwell_ms": pa.array([None] * n if dwell is None else dwell, pa.int64()),
                "list": pa.array(category[row], pa.string()),
            }
        )
