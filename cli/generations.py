"""`es-ranking generations` and `es-ranking rollback`: what is published, and back to what was."""

from __future__ import annotations

import click

from cli.output import emit, output_option
from es_ranking.engine.connect import connect
from es_ranking.publish.generation import generations as list_generations
from es_ranking.publish.rollback import plan_rollback
from es_ranking.publish.rollback import rollback as do_rollback


@click.command(name="generations")
@click.argument("alias")
@output_option
def generations(alias: str, output: str) -> None:
    """List the generations of ALIAS, newest last, with their state: serving, kept or half-written.

    \b
    Example:
      es-ranking generations products
      es-ranking generations products --output json
    """
    found = list_generations(connect(), alias)
    emit([published.to_dict() for published in found], output, title=f"generations of {alias}")


@click.command(name="rollback")
@click.argument("alias")
@click.option("--to", metavar="GENERATION", help="Which one.  [default: the newest one before the serving one]")
@click.option("--dry-run", is_flag=True, help="Print the change of aliases, and do nothing.")
@output_option
def rollback(alias: str, to: str | None, dry_run: bool, output: str) -> None:
    """Serve an earlier generation of ALIAS again: one atomic change, nothing is rewritten.

    \b
    Example:
      es-ranking rollback products --dry-run
      es-ranking rollback products --to products-20171127t000000-1
    """
    engine = connect()
    plan = plan_rollback(engine, alias, to=to)
    if not dry_run:
        do_rollback(engine, plan)
    emit({**plan.summary(), "done": not dry_run}, output)
