"""`es-ranking reindex`: the serving generation in an index of another mapping or number of shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from cli.output import emit, output_option
from es_ranking.engine.connect import connect
from es_ranking.publish.begin import abort
from es_ranking.publish.settings import PublishSettings
from es_ranking.reindex.plan import begun_reindex, plan_reindex
from es_ranking.reindex.run import reindex
from es_ranking.reindex.settings import ReindexSettings
from segments.errors import Refused, UsageError


@click.command(name="reindex")
@click.argument("alias")
@click.option("--settings", "file", type=click.Path(path_type=Path),
              help="Publish settings (YAML): the copy gets their mapping, analysers, shards, replicas.")  # fmt: skip
@click.option("--shards", type=int, help="Primary shards of the copy.  [default: as the settings say, else as many]")
@click.option("--requests-per-second", type=float, metavar="N",
              help="Documents the engine copies a second.  [default: as many as it can]")  # fmt: skip
@click.option("--slices", type=int, help="Parts that are copied side by side.  [default: one a shard]")
@click.option("--max-block-seconds", type=float, metavar="S",
              help="Longest time writers are refused at the end.  [default: 10]")  # fmt: skip
@click.option("--rounds", type=int, help="Tries to finish within that time.  [default: 5]")
@click.option("--resume", is_flag=True, help="Go on with the reindex that was begun.")
@click.option("--abort", "stop", is_flag=True, help="Remove what a begun reindex has copied, and let owners write.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@output_option
def command(
    alias: str,
    file: Path | None,
    shards: int | None,
    requests_per_second: float | None,
    slices: int | None,
    max_block_seconds: float | None,
    rounds: int | None,
    resume: bool,
    stop: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Copy what serves under ALIAS into a new index, catch up with its writers, compare, and switch to it at once.

    Searches never notice. Writers are refused (403) for the last moments, at most --max-block-seconds. The old index
    is kept: es-ranking rollback goes back to it.

    \b
    Example:
      es-ranking reindex products --shards 3 --dry-run
      es-ranking reindex products --settings publish.yaml --requests-per-second 2000
      es-ranking reindex products --resume
    """
    wanted = PublishSettings.read(file) if file else None
    given = {"requests_per_second": requests_per_second, "slices": slices, "max_block_seconds": max_block_seconds,
             "rounds": rounds}  # fmt: skip
    chosen = {name: value for name, value in given.items() if value is not None}
    engine = connect()
    if resume or stop:
        if wanted is not None or shards is not None or (resume and stop):
            raise UsageError("--resume and --abort stand alone: the plan was made when it was begun")
        plan = begun_reindex(engine, alias)
        if plan is None:
            raise Refused("no reindex was begun and left", where=alias, hint=f"es-ranking reindex {alias} --dry-run")
        plan = replace(plan, settings=ReindexSettings.of({**plan.settings.model_dump(), **chosen}))
    else:
        plan = plan_reindex(engine, alias, wanted=wanted, shards=shards, settings=ReindexSettings.of(chosen))
    if dry_run:
        emit(plan.summary(), output)
    elif stop:
        abort(engine, plan.publish)
        emit({"removed": plan.publish.generation}, output)
    else:
        emit(reindex(engine, plan, publish=wanted or PublishSettings(), resume=resume).to_dict(), output)
