"""A night in arrays: the functions of the night's steps, between a log and ranks that are both in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pyarrow as pa

from spark_jobs.bandits.keys import iso_week
from spark_jobs.explore import drawer
from spark_jobs.filter_lures import ranker
from spark_jobs.loop.log import Places, evidence, exact_evidence, lure_columns, sold, totals
from spark_jobs.loop.settings import SHELF, LoopSettings
from spark_jobs.loop.who import Snapshot, Snapshots
from spark_jobs.lures.context import Traits
from spark_jobs.lures.judge import Items, Verdict, judge
from spark_jobs.lures.label_model import UNKNOWN
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, Keys, joined, keyed, ordered
from spark_jobs.models.examples import Items as Vectors
from spark_jobs.models.grid import Grid
from spark_jobs.recipe import Recipe
from spark_jobs.replayed_days import item_columns
from spark_jobs.sources.world_day import US_A_DAY, category_name, user_id
from spark_jobs.sources.world_truth import Floats, Ints, Truth
from spark_jobs.vectors.files import lists


@dataclass(frozen=True)
class Ranked:
    """What a night publishes, one row a candidate item, by item id.

    Attributes:
        who: everybody's segments.
        items: numbers of the candidates.
        final: (variant, segment) → (n,) what the rank field holds.
        place: (variant, segment) → (n,) place in the item's list, from 1.
        metrics: of the training.
    """

    who: Snapshot
    items: Ints
    final: dict[tuple[str, str], Floats] = field(default_factory=dict)
    place: dict[tuple[str, str], Ints] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class Nights:
    """The nights of one world. A night is a function of the log alone; what is kept here only saves time.

    Args:
        recipe: of the night.
        truth: of the world: its catalogue and its users' attributes; what they like is not looked at.
        settings: how far a model looks back.
    """

    def __init__(self, recipe: Recipe, truth: Truth, settings: LoopSettings) -> None:
        self.recipe, self.truth, self.settings = recipe, truth, settings
        self.shelf = recipe.shelves[SHELF]
        self.begin = datetime.combine(truth.settings.start, time(), tzinfo=UTC)
        self.encoder = Encoder(self.shelf.fields)
        everything = np.arange(len(truth.products.ids))
        vectors = {"item_vector": lists(truth.vectors(truth.products, SHELF))}
        self.items = pa.table({**item_columns(truth.products, everything), **vectors})
        self.vectors = Vectors(self.encoder, self.items)
        self.snapshots = Snapshots(recipe, truth)
        self._examples: dict[int, tuple[Examples, Keys]] = {}

    def clock(self, day: int) -> datetime:
        """The midnight that begins a day."""
        return self.begin + timedelta(days=day)

    def night(self, log: Places, day: int) -> Ranked:
        """The ranks that serve a day, from what was logged before it.

        Raises:
            Refused: nothing was logged, or nobody clicked.
        """
        log = log.where(log.day < day)
        who = self.snapshots.tonight(log, day)
        shelf, products = self.shelf, self.truth.products
        midnight = int(self.clock(day).timestamp()) * 1_000_000
        done = develop(
            shelf.model, shelf.fields, examples=self._learnt(log, day),
            valid_from=midnight - self.recipe.validation_days * US_A_DAY, training=shelf.training,
        )  # fmt: skip
        # Rows by item id, as the night's steps put them: so equal numbers fall alike.
        items = np.array(sorted(np.flatnonzero(products.shown_on(day)).tolist(), key=lambda n: products.ids[n]))
        ranked = Ranked(who, items, metrics=done.metrics)
        segments = who.catalogue.segments
        scores = Grid(done.checkpoint).score(self.items.take(pa.array(items)), [dict(s.values) for s in segments])
        pctr = {segment.id: scores[:, n] for n, segment in enumerate(segments)}
        rank = ranker(self.recipe, iso_week(self.clock(day)))
        lures = self._lures(log, day, items)
        for (variant, segment), drawn in self._draws(log, day, who, items, pctr):
            table = rank(
                drawn.append_column("probability", lures["probability"]).append_column("reason", lures["reason"])
            )
            ranked.final[variant, segment] = table["final"].to_numpy()
            ranked.place[variant, segment] = table["rank"].to_numpy().astype(np.int64)
        return ranked

    def _draws(
        self, log: Places, day: int, who: Snapshot, items: Ints, pctr: Mapping[str, Floats]
    ) -> Iterator[tuple[tuple[str, str], pa.Table]]:
        """Step `explore`, for each segment of each variant."""
        count = len(self.truth.products.ids)
        explore = self.shelf.explore
        seen, clicked = totals(log, items=count)
        overall = {SHELF: float(clicked.sum() / max(seen.sum(), 1.0))}
        draw = drawer(self.recipe, iso_week(self.clock(day)), overall, ())
        counts = {"all": exact_evidence(log, explore, day=day, items=count)}
        for family in self.recipe.families:
            names, code = _codes(who.column(family))
            shown, taken = evidence(log, code, explore, day=day, items=count)
            counts |= {name: (shown[n], taken[n]) for n, name in enumerate(names)}
        sales = sold(log, day=day, items=count)[items]
        # Shared by all tables: pandas-free, and made once.
        fixed = {
            "item_id": pa.array([self.truth.products.ids[n] for n in items.tolist()]),
            "list": pa.array([category_name(n) for n in self.truth.products.category[items].tolist()]),
            "item_kind": pa.array([SHELF] * len(items)),
            "seen": seen[items], "clicked": clicked[items],
        }  # fmt: skip
        by_scorer = {"sales": (sales + 0.5) / (sales.max(initial=0.0) + 1.0), "counts": np.full(len(items), 0.5)}
        none = (np.zeros(count), np.zeros(count))
        for name, variant in self.recipe.variants.items():
            for segment in who.catalogue.segments_of(name):
                impressions, clicks = counts.get(segment.id, none)
                own = pctr[segment.id] if variant.scorer == "model" else by_scorer[variant.scorer]
                yield (name, segment.id), draw(
                    pa.table(
                        {
                            **fixed, "variant": pa.array([name] * len(items)),
                            "segment": pa.array([segment.id] * len(items)), "pctr": own,
                            "impressions": impressions[items], "clicks": clicks[items],
                        }
                    )
                )  # fmt: skip

    def _lures(self, log: Places, day: int, items: Ints) -> dict[str, pa.Array]:
        """Step `filter_lures`: the verdict on each candidate."""
        shelf, rule = self.truth.products, self.shelf.lures
        columns = lure_columns(log, rule, shelf.category)
        # Half a day before it is first shown an item stands in the catalogue.
        age: Floats = np.asarray(day - shelf.first_day[items] + 0.5, dtype=np.float64)
        lines = self.vectors.lines[items + 1]
        traits = Traits(shelf.category[items], shelf.brand[items], shelf.price[items], age, lines)
        counts = {name: column[items] for name, column in columns.items()}
        nobody = np.full(len(items), UNKNOWN, dtype=np.int64)
        judged = judge(Items(traits, [None] * len(items), counts, nobody), rule)
        none = Verdict(np.zeros(len(items)), [""] * len(items))
        verdict = none if judged is None else judged.verdict()
        return {"probability": pa.array(verdict.probability), "reason": pa.array(verdict.reason, pa.string())}

    def _learnt(self, log: Places, day: int) -> Examples:
        """Examples of the last days, in the order that a training of the whole table has them."""
        parts = []
        for date in range(max(0, day - self.settings.memory_days), day):
            if date not in self._examples:
                self._examples[date] = self._of_day(log.where(log.day == date), date)
            parts.append(self._examples[date])
        found = ordered(joined([part for part, _ in parts]), np.concatenate([keys for _, keys in parts]))
        # The night knows the vectors of tonight's candidates: what is sold out has none.
        there = np.concatenate([[True], self.truth.products.shown_on(day)])
        return replace(found, item=np.where(there[found.item], found.item, 0))

    def _of_day(self, places: Places, day: int) -> tuple[Examples, Keys]:
        known = self.snapshots.known(day)
        segments = {
            name: pa.array(
                [None] * len(places) if known is None else _taken(known.column(name), places.user), pa.string()
            )
            for name in self.recipe.families
        }
        table = pa.table(
            {
                "request_id": pa.array([f"r{key:x}{SHELF[0]}" for key in places.request.tolist()]),
                "request_at": pa.array(places.at, pa.timestamp("us")),
                "user_id": pa.array([user_id(n) for n in places.user.tolist()]),
                **item_columns(self.truth.products, places.item),
                "label": places.clicked.astype(np.float64),
                "sampling_rate": np.ones(len(places)),
                **segments,
                "position": pa.array(places.position).cast(pa.string()),
            }
        )
        return keyed(table, self.encoder, self.vectors)


def _codes(column: list[str | None]) -> tuple[list[str], Ints]:
    """The segments of a family, and each user's as a number; -1 without one."""
    names = sorted({name for name in column if name is not None})
    number: dict[str | None, int] = {name: n for n, name in enumerate(names)}
    return names, np.array([number.get(name, -1) for name in column], dtype=np.int64)


def _taken(column: list[str | None], rows: Ints) -> list[str | None]:
    return [column[n] for n in rows.tolist()]
