"""The truth of the generated world: who likes what, which items are lures, how likely a click is.

Everything is a pure function of the settings. Each trait of each user and item is a draw of its own, keyed by (seed,
trait, id) (`segments.hashing`), so that making part of the world, or making it in another order, gives the same world.

A click of user u on item i at position r on day d has probability

    min(0.95, click_rate · quality_i · taste(segment_u, brand_i, d) · personal(u, brand_i) · grade(u, price_i) · lure_i)
        · r ** -position_decay
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.hashing import hash64, stir, uniforms
from spark_jobs.sources.world_settings import WorldSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

GENDERS = ("female", "male")
AGES = ("18-24", "25-34", "35-44", "45-54", "55+")
GRADES = ("bronze", "silver", "gold")
CEILING = 0.95


@dataclass(frozen=True)
class Shelf:
    """The traits of all products, or of all banners; index = number of the item.

    Attributes:
        ids: item ids.
        brand, category, tier: numbers; tier is the third of the price range (0 cheap … 2 dear).
        price, quality: price in money, quality a click multiplier around 1.
        lure: clicked more, and left at once.
        first_day, last_day: shown on days first_day … last_day − 1, counted from the start of the world.
    """

    ids: tuple[str, ...]
    brand: Ints
    category: Ints
    tier: Ints
    price: Floats
    quality: Floats
    lure: NDArray[np.bool_]
    first_day: Ints
    last_day: Ints

    def shown_on(self, day: int) -> NDArray[np.bool_]:
        """Which items can be shown on a day."""
        return (self.first_day <= day) & (day < self.last_day)


class Truth:
    """All traits of a world, and the probabilities that follow from them."""

    def __init__(self, settings: WorldSettings) -> None:
        self.settings = settings
        users = np.arange(settings.users)
        self.gender = self._choice("gender", users, len(GENDERS))
        self.age = self._choice("age", users, len(AGES))
        self.grade = np.searchsorted([0.6, 0.9], self.draw("grade", users)).astype(np.int64)
        # Two brands of one's own; the same brand twice counts once.
        self.own_brands = np.stack([self._choice(f"own brand {n}", users, settings.brands) for n in (0, 1)], axis=1)
        self.products = self._products()
        self.banners = self._banners()

    @property
    def segment(self) -> Ints:
        """Each user's segment: gender × age, as a number (see `segment_names`)."""
        return self.gender * len(AGES) + self.age

    @property
    def segment_names(self) -> tuple[str, ...]:
        """(gender, age) of each segment number, joined by a blank."""
        return tuple(f"{gender} {age}" for gender in GENDERS for age in AGES)

    def lure_ids(self) -> frozenset[str]:
        """Items that get clicks and nothing after them."""
        return frozenset(np.array(self.products.ids)[self.products.lure].tolist())

    def points(self) -> Ints:
        """Each user's points: 0–999 of a bronze member, 1000–1999 of a silver one, 2000–2999 of a gold one."""
        return self.grade * 1000 + self._choice("points", np.arange(self.settings.users), 1000)

    def taste(self, day: int) -> Floats:
        """Click multipliers (segments, brands) of a day, log-uniform from 1 / `taste` to `taste`.

        Graded, so that preferences have a rank: of a few levels, whoever finds them all would still guess the order
        within each.
        """
        segments, brands = len(self.segment_names), self.settings.brands
        every, brand = self.settings.drift_days, np.arange(brands)
        ahead = 0 if self.settings.drift_at_once else brand * every // brands
        source = (brand - ((day + ahead) // every if every else 0)) % brands
        u = self.pair_draw("taste", np.arange(segments)[:, None], source[None, :])
        return np.asarray(self.settings.taste ** (2.0 * u - 1.0), dtype=np.float64)

    def click_probability(self, users: Ints, shelf: Shelf, items: Ints, *, day: int) -> Floats:
        """Of users[i] on items[i] in the first position (arrays broadcast against each other)."""
        brand = shelf.brand[items]
        chance = self.settings.click_rate * shelf.quality[items] * self.taste(day)[self.segment[users], brand]
        own = (self.own_brands[users] == brand[..., None]).any(axis=-1)
        chance = chance * np.where(own, self.settings.personal_taste, 1.0)
        chance = chance * np.where(self.grade[users] == shelf.tier[items], self.settings.grade_taste, 1.0)
        return np.minimum(CEILING, chance * np.where(shelf.lure[items], self.settings.lure_click, 1.0))

    def position_bias(self, positions: Ints) -> Floats:
        """What a position (from 1) multiplies the click probability by."""
        return np.asarray(positions, dtype=np.float64) ** -self.settings.position_decay

    def segment_click_rate(self, shelf: Shelf, day: int) -> Floats:
        """True click rate (segments, items) in the first position: the mean over each segment's users."""
        rates = np.full((len(self.segment_names), len(shelf.ids)), np.nan)
        items = np.arange(len(shelf.ids))
        for segment in range(len(rates)):
            users = np.flatnonzero(self.segment == segment)
            if users.size:
                chances = self.click_probability(users[:, None], shelf, items[None, :], day=day)
                rates[segment] = chances.mean(axis=0)
        return rates

    def cell_click_rate(self, shelf: Shelf, day: int) -> Floats:
        """True click rate (segments, brands): the mean over the honest items of a brand on sale that day."""
        rates = self.segment_click_rate(shelf, day)
        cells = np.full((len(rates), self.settings.brands), np.nan)
        counted = shelf.shown_on(day) & ~shelf.lure
        for brand in range(self.settings.brands):
            of_brand = counted & (shelf.brand == brand)
            if of_brand.any():
                cells[:, brand] = rates[:, of_brand].mean(axis=1)
        return cells

    def vectors(self, shelf: Shelf, kind: str) -> NDArray[np.float32]:
        """Unit vectors (items, vector_width): what items of a brand and of a category share, and some of their own."""
        own = self._normals(f"{kind} vector", len(shelf.ids))
        brand = self._normals("brand vector", self.settings.brands)[shelf.brand]
        category = self._normals("category vector", self.settings.categories)[shelf.category]
        whole = brand + category + 0.5 * own
        return np.asarray(whole / np.linalg.norm(whole, axis=1, keepdims=True), dtype=np.float32)

    def draw(self, trait: str, ids: Ints) -> Floats:
        """One uniform number of (0, 1) for each id."""
        return uniforms(np.asarray(ids).astype(np.uint64), self._salt(trait))

    def pair_draw(self, trait: str, first: Ints, second: Ints) -> Floats:
        """One uniform number of (0, 1) for each pair (arrays broadcast against each other)."""
        salt = self._salt(trait)
        return uniforms(stir(np.asarray(first).astype(np.uint64), salt) ^ np.asarray(second).astype(np.uint64), salt)

    def _products(self) -> Shelf:
        s, items = self.settings, np.arange(self.settings.products)
        price: Floats = np.asarray(np.round(np.exp(3.0 + self.normal("price", items)), 2), dtype=np.float64)
        last = np.full(len(items), s.days + 1)
        sold_out = self.draw("sold out", items) < s.sold_out_share
        # Not on the first day: what nobody could ever buy would be no item.
        last[sold_out] = 1 + self._choice("sold out on", items, s.days)[sold_out]
        first = np.where(self.draw("new", items) < s.new_share, self._choice("new on", items, s.days), 0)
        return Shelf(
            ids=tuple(f"p{n:06d}" for n in items),
            brand=self._choice("brand", items, s.brands),
            category=self._choice("category", items, s.categories),
            tier=np.searchsorted(np.exp(3.0 + np.array([-0.4307, 0.4307])), price).astype(np.int64),
            price=price,
            quality=np.exp(0.4 * self.normal("quality", items)),
            lure=self.draw("lure", items) < s.lure_share,
            first_day=np.where(sold_out, 0, first).astype(np.int64),
            last_day=last,
        )

    def _banners(self) -> Shelf:
        s, items = self.settings, np.arange(self.settings.banners)
        # A banner lives one or two weeks; the first ones are up when the world begins.
        first = self._choice("banner first day", items, s.days + 7) - 7
        return Shelf(
            ids=tuple(f"b{n:05d}" for n in items),
            brand=self._choice("banner brand", items, s.brands),
            category=self._choice("banner category", items, s.categories),
            tier=np.full(len(items), -1, dtype=np.int64),
            price=np.full(len(items), np.nan),
            quality=np.exp(0.4 * self.normal("banner quality", items)),
            lure=np.zeros(len(items), dtype=bool),
            first_day=first,
            last_day=first + 7 + self._choice("banner days", items, 8),
        )

    def normal(self, trait: str, ids: Ints) -> Floats:
        """One standard normal number for each id (Box and Muller 1958)."""
        radius = np.sqrt(-2 * np.log(self.draw(f"{trait}: radius", ids)))
        return np.asarray(radius * np.cos(2 * np.pi * self.draw(f"{trait}: angle", ids)), dtype=np.float64)

    def _normals(self, trait: str, rows: int) -> Floats:
        width = self.settings.vector_width
        return self.normal(trait, np.arange(rows * width)).reshape(rows, width)

    def _choice(self, trait: str, ids: Ints, options: int) -> Ints:
        return (self.draw(trait, ids) * options).astype(np.int64)

    def _salt(self, trait: str) -> int:
        return hash64("world", str(self.settings.seed), trait)
