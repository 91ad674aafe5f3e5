"""The same nights twice: in arrays, and through the real job on Spark, published and searched in a real engine.

Both are given the same logs. Users see the engine's pages; those of the arrays are compared, request by request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from es_ranking.query.recommended import recommended
from spark_jobs.loop.night import Nights
from spark_jobs.loop.query import Pages, time_of
from spark_jobs.loop.run import World, seeded
from spark_jobs.loop.settings import ORACLE, SHELF, LoopSettings, the_world
from spark_jobs.loop.visitors import NOTHING, Today, shown_of
from spark_jobs.models.loop import torch_threads
from spark_jobs.night import Night
from spark_jobs.nightly import NIGHTLY, run_night
from spark_jobs.recipe import Recipe, load_recipe
from spark_jobs.sources.requests import daily_exposures
from spark_jobs.sources.world import World as Source
from spark_jobs.sources.world import as_events
from spark_jobs.sources.world_day import category_name, user_id
from spark_jobs.sources.world_truth import Ints
from spark_jobs.tables import conform, schema_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from es_ranking.engine.contract import Engine

Told = Callable[[str], None]


def check(
    spark: SparkSession, engine: Engine, settings: LoopSettings, *, seed: int, root: str, work: Path,
    on_stage: Told = lambda _: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Runs the settings' nights both ways.

    Args:
        spark: the session.
        engine: where the nights publish to and users search; it must be the one `connect()` finds.
        settings: of the loop; a few nights.
        seed: of the world.
        root: warehouse root of the real nights.
        work: their local folder.
        on_stage: told what is done now.

    Returns:
        One row a night and variant: `requests`, `same_items` (share of the places whose item is on the other page
        too), `same_page` (share of equal pages), and true expected honest clicks a request, `engine` and `arrays`.
    """
    # The real night is trained on everything that was logged; so is the other one here.
    settings = settings.model_copy(update={"memory_days": settings.warmup_days + settings.nights})
    recipe = load_recipe(settings.recipe)
    source = the_world(recipe, settings, seed=seed)
    world, given = World(recipe, settings, seed=seed), Source(source)
    real = seeded(recipe.model_copy(update={"source": source}), seed=seed)
    nights = Nights(world.recipe, world.truth, settings)
    events: list[pa.Table] = []
    rows: list[dict[str, Any]] = []
    for day in range(settings.warmup_days + settings.nights):
        today = world.visitors.today(day)
        if day < settings.warmup_days:
            pages = world.warm_up(today)
        else:
            tell = partial(_tell, on_stage, day - settings.warmup_days + 1)
            tell("arrays")
            with torch_threads(1):
                serving = Pages(nights.night(world.log, day), world.truth, settings, world.actions)
            night = Night(spark, real, nights.clock(day), root, work)
            tell("ingest")
            _ingest(night, given, pa.concat_tables(events))
            run_night(night, NIGHTLY[1:], on_step=tell)
            tell("searches")
            pages = _searched(engine, real, world, today)
            rows += _compared(world, today, pages, serving)
        events.append(_logged(world, today, pages))
        world.shown(today, pages)
    return rows


def _tell(on_stage: Told, night: int, stage: str) -> None:
    on_stage(f"night {night}: {stage}")


def _ingest(night: Night, source: Source, events: pa.Table) -> None:
    """The tables of step `ingest`: items and users as the world has them tonight, events as the pages brought them."""
    frames = source.tables(night.spark, night.as_of)
    logged = as_events(night.spark.createDataFrame(events)).persist()
    frames |= {"events": conform(logged, "events"), "exposure_counts": daily_exposures(logged, night.as_of)}
    frames["refused"] = night.spark.createDataFrame([], schema_of("refused"))
    for table in ("events", "items", "users", "exposure_counts", "refused"):
        night.warehouse.write(frames[table], table, night.run)
    logged.unpersist()
    source.release()


def _searched(engine: Engine, recipe: Recipe, world: World, today: Today) -> Ints:
    """Every request as a search; the truth's own bucket is served by the truth."""
    requests, settings, truth = today.requests, world.settings, world.truth
    number = {name: n for n, name in enumerate(truth.products.ids)}
    pages = world.visitors.best_pages(today)
    for row, (user, begin, category, bucket) in enumerate(
        zip(*(c.tolist() for c in (requests.user, requests.epoch_us, requests.category, today.bucket)), strict=True)
    ):
        variant = world.visitors.buckets[bucket]
        if variant == ORACLE:
            continue
        path = f"department {category % 3}>{category_name(category)}"
        page = recommended(
            engine, recipe.shelves[SHELF].index,
            {"query": {"term": {"category": path}}, "size": pages.shape[1], "_source": False},
            user=user_id(user), variant=variant, surface=settings.surface,
            twiddlers=[] if variant in settings.plain else None, actions=world.actions, now=time_of(begin),
        )  # fmt: skip
        found = [number[hit.item] for hit in page.hits]
        pages[row] = found + [NOTHING] * (pages.shape[1] - len(found))
    return pages


def _logged(world: World, today: Today, pages: Ints) -> pa.Table:
    """The day's events, but those of whom the truth served."""
    shown = shown_of(pages)
    tables = today.requests.events(SHELF, shown, world.visitors.reactions(today, shown))
    truths = np.flatnonzero(world.visitors.bucket == world.visitors.buckets.index(ORACLE))
    events = pa.concat_tables(tables)
    named = np.isin(events["user_id"].to_numpy(zero_copy_only=False), [user_id(n) for n in truths.tolist()])
    return events.filter(pa.array(~named))


def _compared(world: World, today: Today, pages: Ints, serving: Pages) -> list[dict[str, Any]]:
    rows = []
    for number, variant in enumerate(world.visitors.buckets):
        own = np.flatnonzero(today.bucket == number)
        if variant == ORACLE or not own.size:
            continue
        engine = pages[own]
        arrays = serving.pages(today.requests, own, variant)
        whole: list[Ints] = [np.full_like(pages, NOTHING), np.full_like(pages, NOTHING)]
        for both, mine in zip(whole, (engine, arrays), strict=True):
            both[own] = mine
        same = [len(set(a) & set(b)) / len(a) for a, b in zip(engine.tolist(), arrays.tolist(), strict=True)]
        expected = [float(world.visitors.expected(today, both)[own].mean()) for both in whole]
        rows.append(
            {
                "night": today.requests.day - world.settings.warmup_days + 1, "variant": variant,
                "requests": len(own), "same_items": float(np.mean(same)),
                "same_page": float((engine == arrays).all(axis=1).mean()),
                "engine": expected[0], "arrays": expected[1],
            }
        )  # fmt: skip
    return rows
