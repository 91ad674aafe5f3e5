"""`es-ranking segments`: who is in which group, from a run's folder or from the index that serves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import emit, output_option, stderr
from segments.catalogue import Catalogue
from segments.errors import UsageError
from segments.users import read_users

if TYPE_CHECKING:
    from es_ranking.query.audience import Audience

CATALOGUE = "catalogue.json"
USERS = "users.jsonl"

work_option = click.option("--work", default="runs", show_default=True, metavar="DIR", help="Folder the runs are in.")
run_option = click.option("--run", metavar="R", help="Id of the run, such as 20171127T000000; the newest otherwise.")
index_option = click.option("--index", metavar="I", help="Ask the generation that serves here, instead of a run.")


@click.group(name="segments")
def group() -> None:
    """Who is in which group."""


@group.command(name="show")
@work_option
@run_option
@index_option
@click.option("--family", metavar="F", help="Only segments of this family.")
@click.option("--variant", metavar="V", help="Only segments that this variant ranks for.")
@output_option
def show(work: str, run: str | None, index: str | None, family: str | None, variant: str | None, output: str) -> None:
    """List the segments: how many users, what they are, which variants rank for them.

    \b
    Example:
      es-ranking segments show
      es-ranking segments show --family brand --output json
      es-ranking segments show --index products --variant B2
    """
    catalogue = _audience().serving(index).catalogue if index else Catalogue.load(_folder(work, run) / CATALOGUE)
    if family is not None and family not in (known := {*catalogue.families, "all"}):
        raise UsageError.unknown("family", family, known)
    chosen = catalogue.segments if variant is None else catalogue.segments_of(variant)
    rows = [
        {
            "segment": segment.id,
            "family": segment.family,
            "users": segment.users,
            "label": segment.label,
            "parent": segment.parent,
            "variants": [name for name, chain in catalogue.variants.items() if segment.family in chain],
        }
        for segment in chosen
        if family in (None, segment.family)
    ]
    emit(rows, output, title=f"run {catalogue.run}")


@group.command(name="of")
@click.argument("user")
@work_option
@run_option
@index_option
@output_option
def of(user: str, work: str, run: str | None, index: str | None, output: str) -> None:
    """Show the segments of USER, and the one that serves him in each variant.

    A user nothing is known of is no mistake: `all` serves him.

    \b
    Example:
      es-ranking segments of 1
      es-ranking segments of 1 --index products --output json
    """
    if index:
        audience = _audience()
        serving = audience.serving(index)
        catalogue = serving.catalogue
        found: Mapping[str, Any] = (audience.engine.get(serving.users_index, user) or {}).get("segments", {})
    else:
        folder = _folder(work, run)
        catalogue, found = Catalogue.load(folder / CATALOGUE), read_users(folder / USERS).resolve(user)
    told = {
        "user": user,
        "run": catalogue.run,
        "segments": {family: found[family] for family in catalogue.families if family in found},
        "served_by": {variant: catalogue.resolve(found, variant) for variant in catalogue.variants},
    }
    emit(told, output)


@group.command(name="plot")
@work_option
@run_option
@click.option("--family", default="brand", show_default=True, metavar="F", help="The brand family to look at.")
@click.option("--to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Copy the picture there.")
@output_option
def plot(work: str, run: str | None, family: str, to: Path | None, output: str) -> None:
    """Print the path of the picture of a brand family's groups: users by taste, and the size of each group.

    \b
    Example:
      es-ranking segments plot
      es-ranking segments plot --family brand --to brand.svg
    """
    folder = _folder(work, run)
    pictures = {path.stem: path for path in sorted(folder.glob("*.svg"))}
    if family not in pictures:
        raise UsageError.unknown("picture of a family", family, pictures, where=str(folder))
    path = pictures[family]
    if to is not None:
        try:
            path = Path(shutil.copyfile(path, to))
        except OSError as error:
            raise UsageError("cannot write the picture", where=str(to), hint=error.strerror) from error
    if output == "json":
        emit({"family": family, "picture": str(path)}, output)
    else:
        click.echo(path)


@group.command(name="fit")
@click.option("--source", "recipe", required=True, metavar="S", help="complete-journey, world, or a recipe YAML file.")
@click.option("--run-date", metavar="D", help="The night's date; its UTC midnight is the only clock.")
@click.option("--as-of", metavar="T", help="The clock as a UTC time, instead of --run-date.")
@click.option("--warehouse", default="warehouse", show_default=True, help="Root of the tables, any Spark path.")
@work_option
@output_option
def fit(recipe: str, run_date: str | None, as_of: str | None, warehouse: str, work: str, output: str) -> None:
    """Cut the users of a run into segments again; the run's events, items and users must have been brought in.

    \b
    Example:
      es-ranking nightly run --source complete-journey --run-date 2017-11-27 --step ingest
      es-ranking segments fit --source complete-journey --run-date 2017-11-27
    """
    from spark_jobs.night import Night, parse_clock
    from spark_jobs.nightly import run_night
    from spark_jobs.recipe import load_recipe
    from spark_jobs.session import spark_session

    settings, clock = load_recipe(recipe), parse_clock(run_date, as_of)
    root = warehouse if "://" in warehouse else str(Path(warehouse).resolve())
    night = Night(spark_session("es-ranking segments"), settings, clock, root, Path(work))
    with stderr.status("fitting segments …"):
        figures = run_night(night, ["fit_segments"])["fit_segments"]
    emit({"run": night.run, **figures}, output)


def _folder(work: str, run: str | None) -> Path:
    """The `segments` folder of a run, of the newest where none is named."""
    runs = {path.parent.parent.name: path.parent for path in Path(work).glob(f"*/segments/{CATALOGUE}")}
    if not runs:
        raise UsageError("no run has segments here", where=work, hint="es-ranking segments fit, or --work DIR")
    if run is not None and run not in runs:
        raise UsageError.unknown("run", run, runs, where=work)
    return runs[run or max(runs)]


def _audience() -> Audience:
    from es_ranking.engine.connect import connect
    from es_ranking.query.audience import Audience

    return Audience(connect())
