"""`es-ranking nightly`: the main job, whole or by step."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import emit, output_option, stderr

DEFAULT_WAREHOUSE = "warehouse"


@click.group(name="nightly")
def group() -> None:
    """Run the nightly job, whole or by step."""


@group.command(name="run")
@click.option("--source", "recipe", required=True, metavar="S", help="complete-journey, world, or a recipe YAML file.")
@click.option("--run-date", metavar="D", help="The night's date; its UTC midnight is the only clock.")
@click.option("--as-of", metavar="T", help="The clock as a UTC time, instead of --run-date.")
@click.option("--step", "steps", multiple=True, metavar="X", help="Run only this step (repeat for several, in order).")
@click.option("--warehouse", default=DEFAULT_WAREHOUSE, show_default=True, help="Root of the tables, any Spark path.")
@click.option("--work", default="runs", show_default=True, help="Local folder for checkpoints and reports.")
@click.option(
    "--dry-run", is_flag=True, help="Show the steps and settings, and with --step publish the plan; do nothing."
)
@output_option
def run(
    recipe: str,
    run_date: str | None,
    as_of: str | None,
    steps: tuple[str, ...],
    warehouse: str,
    work: str,
    dry_run: bool,
    output: str,
) -> None:
    """Score every item for every segment and publish the ranks.

    Running again, whole or by step, replaces exactly what it wrote before.

    \b
    Example:
      es-ranking nightly run --source complete-journey --run-date 2017-11-27
      es-ranking nightly run --source shop.yaml --run-date 2026-11-22 --step score --step explore
      es-ranking nightly run --source shop.yaml --run-date 2026-11-22 --step publish --dry-run
    """
    from spark_jobs.night import Night, parse_clock
    from spark_jobs.nightly import NIGHTLY, run_night, step_named
    from spark_jobs.recipe import load_recipe
    from spark_jobs.session import spark_session

    settings = load_recipe(recipe)
    clock = parse_clock(run_date, as_of)
    chosen = steps or NIGHTLY
    for name in chosen:
        step_named(name)
    if dry_run and steps != ("publish",):
        emit({"as_of": clock.isoformat(), "steps": list(chosen), "recipe": settings.model_dump(mode="json")}, output)
        return
    night = Night(spark_session("es-ranking nightly"), settings, clock, absolute(warehouse), Path(work))
    if dry_run:
        from spark_jobs.publish import plans

        emit({kind: plan.summary() for kind, plan in plans(night).items()}, output)
        return
    with stderr.status("starting") as status:
        figures = run_night(night, chosen, on_step=lambda name: status.update(f"{name} …"))
    if output == "json":
        emit({"run": night.run, "steps": figures}, output)
    else:
        emit([{"step": name, **_short(values)} for name, values in figures.items()], output, title=f"run {night.run}")


def absolute(path: str) -> str:
    """A local path made absolute, since Spark may stand elsewhere; other paths as they are."""
    return path if "://" in path else str(Path(path).resolve())


def _short(figures: dict[str, object]) -> dict[str, object]:
    told = {key: value for key, value in figures.items() if isinstance(value, int | float | str)}
    seconds, memory = told.pop("seconds", None), told.pop("peak_memory_mb", None)
    return {"seconds": seconds, "peak_memory_mb": memory, "figures": told}
