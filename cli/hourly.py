"""`es-ranking hourly`: between two nights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.nightly import DEFAULT_WAREHOUSE, absolute
from cli.output import emit, output_option, stderr


@click.group(name="hourly")
def group() -> None:
    """Bring the served ranks up to date between two nights."""


@group.command(name="run")
@click.option("--source", "recipe", required=True, metavar="S", help="complete-journey, world, or a recipe YAML file.")
@click.option("--as-of", required=True, metavar="T", help="The clock as a UTC time.")
@click.option("--warehouse", default=DEFAULT_WAREHOUSE, show_default=True, help="The night's warehouse.")
@click.option("--work", default="runs", show_default=True, help="The night's work folder.")
@output_option
def run(recipe: str, as_of: str, warehouse: str, work: str, output: str) -> None:
    """Update the model on the last hours and publish what is new, restocked, changed or sold out.

    Goes on from the night that serves: its tables, segments and checkpoint. An update that would worsen the held-out
    logloss is kept aside and the previous checkpoint serves. Run it every ten minutes; the model itself is updated once
    in `continual.every_minutes`.

    \b
    Example:
      es-ranking hourly run --source world --as-of 2026-02-16T10:00:00+00:00
    """
    from spark_jobs.night import Night, parse_clock
    from spark_jobs.nightly import HOURLY, run_night
    from spark_jobs.recipe import load_recipe
    from spark_jobs.session import spark_session

    settings, clock = load_recipe(recipe), parse_clock(None, as_of)
    with stderr.status("starting") as status:
        night = Night(spark_session("es-ranking hourly"), settings, clock, absolute(warehouse), Path(work))
        figures = run_night(night, HOURLY, on_step=lambda name: status.update(f"{name} …"))
    if output == "json":
        emit({"run": night.run, "steps": figures}, output)
        return
    emit(_rows(figures), output, title=f"run {night.run}, on the night {figures['catch_up']['night']}")


def _rows(figures: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One line a shelf: what changed, whether the model learnt, what was published, and how long all of it took."""
    published, models = figures["publish_changes"], figures["update_models"]
    seconds = sum(float(step["seconds"]) for step in figures.values())
    return [
        {
            "shelf": kind,
            "changes": {key.split("/")[1]: count for key, count in figures["catch_up"]["changes"].items()
                        if key.startswith(f"{kind}/")},
            "model": "updated" if models[kind]["accepted"] else f"kept: {models[kind]['reason']}",
            "generation": told["generation"],
            "written": told["written"],
            "removed": told["removed"],
            "seconds": round(seconds, 1),
        }
        for kind, told in published.items()
        if isinstance(told, dict)
    ]  # fmt: skip
