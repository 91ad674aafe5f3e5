"""`es-ranking runs`, `backfill` and `retain`: what ran, what is still to run, and what may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.nightly import DEFAULT_WAREHOUSE, absolute
from cli.output import emit, output_option, stderr

if TYPE_CHECKING:
    from spark_jobs.night import Night


@click.command(name="runs")
@click.argument("run", required=False)
@click.option("--work", default="runs", show_default=True, help="The work folder.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N.  [default: all]")
@output_option
def runs(run: str | None, work: str, last: int | None, output: str) -> None:
    """List nightly and hourly runs, the newest clock last: how each ended, and what it made. With RUN, its attempts.

    A run that failed tells the step, its exit code and the error; one whose process is gone was killed.

    \b
    Example:
      es-ranking runs --last 10
      es-ranking runs 20171127T000000 --output json
    """
    from segments.errors import UsageError
    from spark_jobs.attempts import attempts_of
    from spark_jobs.run_history import history

    if run is None:
        rows = history(Path(work))
    elif attempts := attempts_of(Path(work) / run):
        rows = [attempt.to_dict() for attempt in attempts]
    else:
        raise UsageError.unknown("run", run, [row["run"] for row in history(Path(work))], where=work)
    rows = rows[-last:] if last else rows
    emit(rows if output == "json" else [_short(row) for row in rows], output)


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    """What people look for first, of a run or of an attempt."""
    ended = f"{row['outcome']} in {row['step']}" if row["step"] else row["outcome"]
    named = {name: row[name] for name in ("run", "kind", "recipe") if name in row}
    made = row["error"] or " ".join(row.get("generations", ()))
    return {**named, "outcome": ended, "changed": row["changed"][:16], "seconds": round(row["seconds"]), "made": made}


@click.command(name="backfill")
@click.argument("first", metavar="FROM")
@click.argument("last", metavar="TO")
@click.option("--source", "recipe", required=True, metavar="S", help="complete-journey, world, or a recipe YAML file.")
@click.option("--warehouse", default=DEFAULT_WAREHOUSE, show_default=True, help="Root of the tables, any Spark path.")
@click.option("--work", default="runs", show_default=True, help="Local folder for checkpoints and reports.")
@click.option("--publish/--no-publish", default=True, show_default=True, help="Publish the night of TO.")
@click.option("--dry-run", is_flag=True, help="Show which nights would run, and why; do nothing.")
@output_option
def backfill(
    first: str, last: str, recipe: str, warehouse: str, work: str, publish: bool, dry_run: bool, output: str
) -> None:
    """Run the nights of the dates FROM to TO, both included, in order.

    A night whose tables are whole is skipped: a backfill that was stopped goes on where it ended. The first failure
    ends it with its exit code. Only the night of TO is published, and only where nothing newer serves.

    \b
    Example:
      es-ranking backfill 2017-11-20 2017-11-27 --source complete-journey --dry-run
      es-ranking backfill 2017-11-20 2017-11-27 --source complete-journey --no-publish
    """
    from es_ranking.engine.connect import connect
    from spark_jobs.backfill import midnights, plan_backfill, serving_runs
    from spark_jobs.night import Night, parse_clock
    from spark_jobs.recipe import load_recipe
    from spark_jobs.session import spark_session
    from spark_jobs.tables import manifests_at

    settings = load_recipe(recipe)
    clocks = midnights(parse_clock(first, None), parse_clock(last, None))
    root, folder = absolute(warehouse), Path(work)
    served = serving_runs(connect(), settings) if publish else None
    planned = plan_backfill(clocks, settings, tables=manifests_at(root), work=folder, served=served)
    rows: list[dict[str, Any]] = [{**night.to_dict(), "outcome": "planned" if night.steps else "skipped"}
                                  for night in planned]  # fmt: skip
    try:
        for night, row in zip(planned, rows, strict=True):
            if night.steps and not dry_run:
                row["outcome"] = "failed"
                spark = spark_session("es-ranking backfill")
                _run_night(Night(spark, settings, night.as_of, root, folder), night.steps)
                row["outcome"] = "finished"
    finally:
        emit(rows if output == "json" else [{**row, "steps": _span(row["steps"])} for row in rows], output)


def _span(steps: Sequence[str]) -> str:
    return " … ".join(dict.fromkeys((*steps[:1], *steps[-1:])))


def _run_night(night: Night, steps: Sequence[str]) -> None:
    from spark_jobs.nightly import run_night

    with stderr.status(f"{night.run}: starting") as status:
        run_night(night, steps, on_step=lambda name: status.update(f"{night.run}: {name} …"))


@click.command(name="retain")
@click.option("--keep-nights", type=click.IntRange(min=1), required=True, metavar="N",
              help="The newest N whole nights stay, and whatever is younger than the oldest of them.")  # fmt: skip
@click.option("--keep-hours", type=click.IntRange(min=0), default=24, show_default=True, metavar="N",
              help="The newest N hourly runs stay.")  # fmt: skip
@click.option("--warehouse", default=DEFAULT_WAREHOUSE, show_default=True, help="Root of the tables, any Spark path.")
@click.option("--work", default="runs", show_default=True, help="The work folder.")
@click.option("--unpublished", is_flag=True, help="Nothing is published from here: do not ask the engine.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and remove nothing.")
@output_option
def retain(
    keep_nights: int, keep_hours: int, warehouse: str, work: str, unpublished: bool, dry_run: bool, output: str
) -> None:
    """Remove tables and run folders of old runs, and say how many bytes that is.

    Never what a generation in the engine is of or goes on from, what runs now, the hour whose model the next one takes,
    promoted checkpoints, or experiments.

    \b
    Example:
      es-ranking retain --keep-nights 14 --dry-run
      es-ranking retain --keep-nights 14 --keep-hours 48
    """
    from es_ranking.engine.connect import connect
    from spark_jobs.retention import plan_retention, published_runs
    from spark_jobs.retention import retain as remove
    from spark_jobs.tables import manifests_at

    tables, folder = manifests_at(absolute(warehouse)), Path(work)
    published = None if unpublished else published_runs(connect())
    fates = plan_retention(tables, folder, keep_nights=keep_nights, keep_hours=keep_hours, published=published)
    if not dry_run:
        remove(fates, tables, folder)
    rows: list[dict[str, Any]] = [fate.to_dict() for fate in fates]
    going = sum(fate.bytes for fate in fates if not fate.stays)
    if output == "json":
        emit({"done": not dry_run, "bytes": going, "runs": rows}, output)
    else:
        done = "would be removed" if dry_run else "removed"
        emit(rows, output, title=f"{going / 1e6:,.1f} MB {done}")
