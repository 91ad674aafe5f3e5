"""Nights of the past, in order: which of a span of dates would run, and why.

A night whose tables are whole is not run again, so a backfill that was stopped goes on where it ended. Only the last
night is published, and only where nothing newer serves: older ranks never replace newer ones. Where it serves already,
it is published again if it was made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from es_ranking.publish.generation import serving
from segments.errors import UsageError
from spark_jobs.night import run_id
from spark_jobs.nightly import NIGHTLY

if TYPE_CHECKING:
    from es_ranking.engine.contract import Engine
    from spark_jobs.manifests import Manifests
    from spark_jobs.recipe import Recipe

# What a whole night leaves; item vectors only where a shelf of the recipe is personal.
TABLES = ("events", "items", "users", "exposure_counts", "refused", "user_segments", "examples", "item_features",
          "scores", "draws", "lures", "ranks")  # fmt: skip
PERSONAL = "taste_vectors"
PUBLISH = "publish"
RANKED = tuple(step for step in NIGHTLY if step != PUBLISH)


@dataclass(frozen=True)
class Planned:
    """One night of a backfill: the steps it would run (none: it is skipped), and why."""

    as_of: datetime
    steps: tuple[str, ...]
    why: str

    def to_dict(self) -> dict[str, Any]:
        """The row `es-ranking backfill` prints."""
        return {"run": run_id(self.as_of), "steps": list(self.steps), "why": self.why}


def midnights(first: datetime, last: datetime) -> list[datetime]:
    """The clocks of every night of a span, both ends included.

    Raises:
        UsageError: the span ends before it begins.
    """
    if last < first:
        raise UsageError(f"{last:%Y-%m-%d} is before {first:%Y-%m-%d}", hint="es-ranking backfill FROM TO")
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def serving_runs(engine: Engine, recipe: Recipe) -> dict[str, str]:
    """Alias of each shelf → the run whose generation serves there, empty where nothing does."""
    found = {shelf.index: serving(engine, shelf.index) for shelf in recipe.shelves.values()}
    return {alias: now.meta.run if now else "" for alias, now in found.items()}


def plan_backfill(
    clocks: Sequence[datetime],
    recipe: Recipe,
    *,
    tables: Manifests,
    work: Path,
    served: Mapping[str, str] | None,
) -> list[Planned]:
    """What a backfill would do, night by night. Changes nothing.

    Args:
        clocks: the nights, oldest first.
        tables: what has been written.
        work: the work folder.
        served: see `serving_runs`; None: nothing shall be published.
    """
    planned = []
    for clock in clocks:
        lacks = _lacks(clock, recipe, tables, work)
        steps, why = RANKED if lacks else (), lacks or "whole"
        if served is not None and clock == clocks[-1]:
            publishes, because = _publishes(run_id(clock), served, remade=bool(lacks))
            steps, why = (*steps, *((PUBLISH,) if publishes else ())), f"{why}; {because}"
        planned.append(Planned(clock, steps, why))
    return planned


def _lacks(clock: datetime, recipe: Recipe, tables: Manifests, work: Path) -> str:
    """What a night lacks; nothing if it is whole."""
    run = run_id(clock)
    if tables.manifest("changes", run) is not None:
        return "an hour of the same clock has left its tables"
    personal = any(shelf.personal is not None for shelf in recipe.shelves.values())
    lacks = [table for table in (*TABLES, *((PERSONAL,) if personal else ())) if tables.manifest(table, run) is None]
    if TABLES[0] in lacks:
        return "has not run"
    if not (work / run / "segments" / "catalogue.json").is_file():
        lacks.append("the catalogue")
    models = work / run / "models"
    lacks += [f"the checkpoint of {kind}s" for kind in recipe.shelves
              if not (models / kind / "checkpoint.json").is_file()]  # fmt: skip
    return f"lacks {', '.join(lacks)}" if lacks else ""


def _publishes(run: str, served: Mapping[str, str], *, remade: bool) -> tuple[bool, str]:
    newer = [f"{alias} serves {now}" for alias, now in served.items() if now > run]
    if newer:
        return False, f"not published: {', '.join(newer)}, which is newer"
    if all(now == run for now in served.values()):
        # What serves was made of tables that will not be there any more.
        return (True, "it is published again") if remade else (False, "it serves already")
    return True, "the last night is published"
