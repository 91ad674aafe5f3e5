"""`es-ranking segments`: who is in which group, from a run's folder or from the index that serves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.models_run import night_of, run_options
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
@run_options
@output_option
def fit(output: str, **run: Any) -> None:
    """Cut the users of a run into segments again; the run's events, items and users must have been brought in.

    \b
    Example:
      es-ranking nightly run --source complete-journey --run-date 2017-11-27 --step ingest
      es-ranking segments fit --source complete-journey --run-date 2017-11-27
    """
    from spark_jobs.nightly import run_night

    night = night_of("segments", **run)
    with stderr.status("fitting segments …"):
        figures = run_night(night, ["fit_segments"])["fit_segments"]
    emit({"run": night.run, **figures}, output)


@group.command(name="choose")
@run_options
@click.option("--family", default="brand", show_default=True, metavar="F", help="The brand family of the recipe.")
@click.option("--documents", metavar="D,…", help="brands, products, …; the family's own otherwise.")
@click.option("--topics", metavar="N,…", default="6,12,20", show_default=True, help="Numbers of topics to try.")
@click.option("--groups", metavar="N,…", default="4,8,12", show_default=True, help="Numbers of groups to try.")
@click.option("--held-out-days", default=28, show_default=True, help="Days before the clock that judge.")
@click.option("--users", default=20_000, show_default=True, help="Of more users than this a sample is looked at.")
@output_option
def choose(
    family: str,
    documents: str | None,
    topics: str,
    groups: str,
    held_out_days: int,
    users: int,
    output: str,
    **run: Any,
) -> None:
    """Try how a brand family could be cut, by what users chose afterwards, and keep the choice with its evidence.

    Nothing is published: the choice is a line for the recipe. Groups that are too small or too large are refused.

    \b
    Example:
      es-ranking segments choose --source complete-journey --run-date 2017-11-27
      es-ranking segments choose --source world --run-date 2026-02-16 --documents brands,products --groups 6,10
    """
    from spark_jobs.choose_segments import Candidates, choose_segments

    tried = Candidates.of(
        {
            "documents": _listed(documents or ""),
            "topics": _listed(topics),
            "groups": _listed(groups),
            "held_out_days": held_out_days,
            "users": users,
        },
        where="segments choose",
    )
    night = night_of("segments", **run)
    with stderr.status("trying …"):
        found = choose_segments(night, family, tried)
    if output == "json":
        emit(found, output)
        return
    rows = [_candidate(row, chosen=row == found["chosen"]) for row in found["candidates"]]
    emit(rows, output, title=f"run {night.run}, the last {held_out_days} days judge {found['users']} users")
    emit({key: found[key] for key in ("everyone", "helps", "recipe", "picture", "evidence")}, output)


def _candidate(row: Mapping[str, Any], *, chosen: bool) -> dict[str, Any]:
    """What a screen has room for; --output json has all."""
    return {
        **{key: row[key] for key in ("documents", "topics", "groups")},
        "users a group": f"{row['smallest']}–{row['largest']}",
        "by KMeans": f"{row['kmeans_smallest']}–{row['kmeans_largest']}",
        **{key: row[key] for key in ("likelihood", "silhouette", "ndcg", "lift")},
        "verdict": row["refused"] or ("chosen" if chosen else ""),
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


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
