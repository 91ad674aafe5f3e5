"""What commands that work on a run's own tables have in common: which run, and the experiment to begin from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.nightly import DEFAULT_WAREHOUSE, absolute

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial
    from spark_jobs.night import Night

Command = TypeVar("Command", bound=Callable[..., Any])

work_option = click.option(
    "--work", default="runs", show_default=True, help="Local folder for checkpoints and reports."
)
OPTIONS = (
    click.option("--source", "recipe", required=True, metavar="S", help="complete-journey, world, or a recipe YAML."),
    click.option("--run-date", metavar="D", help="The run's date; its UTC midnight is the only clock."),
    click.option("--as-of", metavar="T", help="The clock as a UTC time, instead of --run-date."),
    click.option("--warehouse", default=DEFAULT_WAREHOUSE, show_default=True, help="Root of the tables."),
    work_option,
)


def run_options(command: Command) -> Command:
    """Adds `--source`, `--run-date`, `--as-of`, `--warehouse` and `--work`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def night_of(name: str, recipe: str, *, run_date: str | None, as_of: str | None, warehouse: str, work: str) -> Night:
    """The run; starts Spark."""
    from spark_jobs.night import Night, parse_clock
    from spark_jobs.recipe import load_recipe
    from spark_jobs.session import spark_session

    settings, clock = load_recipe(recipe), parse_clock(run_date, as_of)
    return Night(spark_session(f"es-ranking models {name}"), settings, clock, absolute(warehouse), Path(work))


def trial_of(
    recipe: str, config: Path | None, *, model: str | None, shelf: str | None, name: str | None = None
) -> Trial:
    """The experiment of a file, settled by the recipe."""
    from spark_jobs.experiment_settings import Experiment, Trial
    from spark_jobs.recipe import load_recipe

    experiment = Experiment.read(config) if config else Experiment()
    return Trial.of(experiment, load_recipe(recipe), model=model, shelf=shelf, name=name)


def tables_of(night: Night, trial: Trial) -> dict[str, Any]:
    """Where the examples before the clock stand; refuses a run or a field that is not there."""
    from spark_jobs.arena import check_fields, check_tables

    check_tables(night, ["build_examples"])
    folders = {name: night.warehouse.folder(name, night.run) for name in ("examples", "item_features")}
    check_fields(trial.schema, **folders)
    return {**folders, "clock": night.clock, "valid_from": night.valid_from}
