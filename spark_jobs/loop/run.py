"""One world's nights: ranks from the log, pages from the ranks, clicks from the pages, and the log grows.

What is kept of a night is what was shown and its figures; all else follows from them and from the world's truth. So a
run that was killed goes on where it was, and ends as if nothing had happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from es_ranking.actions.memory import MemoryActionStore
from segments.errors import Refused
from segments.whole import whole, write_whole
from spark_jobs.loop.figures import Figures, newcomers, told
from spark_jobs.loop.log import Places, joined
from spark_jobs.loop.night import Nights
from spark_jobs.loop.query import Pages, record
from spark_jobs.loop.settings import ORACLE, LoopSettings, changed, the_world
from spark_jobs.loop.visitors import NOTHING, Today, Visitors, pages_of
from spark_jobs.models.loop import torch_threads
from spark_jobs.recipe import Recipe
from spark_jobs.sources.world_truth import Floats, Ints, Truth

Told = Callable[[str], None]


@dataclass(frozen=True)
class Kept:
    """What is kept of a day.

    Attributes:
        pages: (requests, places) numbers of items.
        figures: see `figures.told`; empty for a day of the warm-up.
        new: variant → (3, items), see `figures.newcomers`.
    """

    pages: Ints
    figures: Figures
    new: dict[str, Floats]

    def write(self, path: Path) -> None:
        """As one file."""
        arrays: dict[str, Any] = {f"new {name}": values.astype(np.float32) for name, values in self.new.items()}
        with whole(path) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, pages=self.pages.astype(np.int32), figures=json.dumps(self.figures), **arrays)

    @classmethod
    def read(cls, path: Path) -> Kept:
        """What `write` wrote."""
        with np.load(path) as found:
            new = {name.removeprefix("new "): found[name] for name in found.files if name.startswith("new ")}
            return cls(found["pages"].astype(np.int64), json.loads(str(found["figures"])), new)


class World:
    """A world while it runs.

    Args:
        recipe: of the night; its source is the world.
        settings: of the loop.
        seed: of the world and of the trainings.
    """

    def __init__(self, recipe: Recipe, settings: LoopSettings, *, seed: int) -> None:
        self.recipe, self.settings = seeded(recipe, seed=seed), settings
        self.truth = Truth(the_world(recipe, settings, seed=seed))
        self.visitors = Visitors(self.truth, settings, tuple(recipe.variants))
        self.actions = MemoryActionStore()
        self.logs: list[Places] = []

    @property
    def log(self) -> Places:
        """All that the shop may learn from."""
        return joined(self.logs)

    def shown(self, today: Today, pages: Ints) -> Places:
        """Shows a day's pages; the log and what is known of users' actions grow."""
        places = self.visitors.did(today, pages)
        record(self.actions, places, self.truth)
        self.logs.append(self.visitors.learnt(places))
        return places

    def warm_up(self, today: Today) -> Ints:
        """Pages of a day before the first night: the world's own shop."""
        return pages_of(today.requests, today.requests.usual_page(), page=self.truth.settings.page)


def run_world(
    recipe: Recipe, settings: LoopSettings, *, seed: int, name: str, folder: Path, on_night: Told = lambda _: None
) -> Path:
    """Runs the nights of one seed, or what is left of them.

    Args:
        recipe, settings: before the ablation.
        seed: of the world.
        name: `whole`, or an ablation.
        folder: the run's; the seed's own is made below it.
        on_night: told as a night begins.

    Returns:
        The folder with one file a day.

    Raises:
        Refused: the folder holds days of other settings.
    """
    recipe, settings = changed(recipe, settings, name=name)
    own = seed_folder(folder, name, seed)
    own.mkdir(parents=True, exist_ok=True)
    _same(own / "settings.yaml", f"{settings.to_yaml()}---\n{recipe.to_yaml()}")
    if is_whole(own, settings):
        return own
    world = World(recipe, settings, seed=seed)
    nights = Nights(world.recipe, world.truth, settings)
    with torch_threads(1):
        for day in range(settings.warmup_days + settings.nights):
            today = world.visitors.today(day)
            path = day_file(own, day)
            if path.is_file():
                world.shown(today, Kept.read(path).pages)
                continue
            if day < settings.warmup_days:
                kept = Kept(world.warm_up(today), {}, {})
                world.shown(today, kept.pages)
            else:
                on_night(f"{name}, seed {seed}: night {day - settings.warmup_days + 1}")
                kept = _night(world, nights, today)
            kept.write(path)
    return own


def seed_folder(folder: Path, name: str, seed: int) -> Path:
    """Where a seed's days are kept."""
    return folder / name / f"seed-{seed}"


def is_whole(own: Path, settings: LoopSettings) -> bool:
    """Whether every day of a seed is there."""
    return all(day_file(own, day).is_file() for day in range(settings.warmup_days + settings.nights))


def day_file(folder: Path, day: int) -> Path:
    """Where a day is kept."""
    return folder / f"day-{day:03d}.npz"


def seeded(recipe: Recipe, *, seed: int) -> Recipe:
    """The recipe whose trainings begin with this seed."""
    shelves = {
        kind: shelf.model_copy(update={"training": shelf.training.model_copy(update={"seed": seed})})
        for kind, shelf in recipe.shelves.items()
    }
    return recipe.model_copy(update={"shelves": shelves})


def _night(world: World, nights: Nights, today: Today) -> Kept:
    day = today.requests.day
    ranked = nights.night(world.log, day)
    serving = Pages(ranked, world.truth, world.settings, world.actions)
    pages = np.full((len(today.requests), world.truth.settings.page), NOTHING, dtype=np.int64)
    for number, name in enumerate(world.visitors.buckets):
        rows = np.flatnonzero(today.bucket == number)
        if name != ORACLE:
            pages[rows] = serving.pages(today.requests, rows, name)
        else:
            pages[rows] = world.visitors.best_pages(today)[rows]
    places = world.shown(today, pages)
    new = newcomers(ranked, today, world.truth, since=world.settings.warmup_days)
    return Kept(pages, told(world.visitors, today, pages, places), dict(new))


def _same(path: Path, said: str) -> None:
    if not path.is_file():
        write_whole(path, said)
    elif path.read_text(encoding="utf-8") != said:
        raise Refused("this folder holds nights of other settings", where=str(path), hint="give another --folder")
