"""`es-ranking generations`, `diff` and `rollback`: what is published, what changed, and back to what was."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import click

from cli.output import emit, output_option, stderr
from es_ranking.engine.connect import connect
from es_ranking.publish.difference import PERSISTENCE, Move, SegmentDifference, chosen, differences
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


@click.command(name="diff")
@click.argument("alias")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--variant", metavar="V", help="The variant.  [default: the new generation's default one]")
@click.option("--segment", "segments", multiple=True, metavar="S", help="Only this segment (repeat for several).")
@click.option("--list", "list_name", metavar="L", help="Only items of this list.")
@click.option("--category", metavar="C", help="Only items of this category, such as 'GROCERY>SOUP'.")
@click.option("--top", type=click.IntRange(1, 1000), default=20, show_default=True, help="Places to compare.")
@click.option("--persistence", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=PERSISTENCE,
              show_default=True, help="Weight of a place over the one before it.")  # fmt: skip
@output_option
def diff(
    alias: str, old: str | None, new: str | None, variant: str | None, segments: tuple[str, ...],
    list_name: str | None, category: str | None, top: int, persistence: float, output: str,
) -> None:  # fmt: skip
    """Compare the first places of two generations of ALIAS: how alike they are, and who rose, fell, came and went.

    NEW is the one that serves, OLD the one before NEW, if not named. A table has one line a segment, or one a move if
    there is one segment.

    \b
    Example:
      es-ranking diff products
      es-ranking diff products --segment all --list GROCERY --top 50
      es-ranking diff products products-20171126t000000-1 products-20171127t000000-1 --output json
    """
    engine = connect()
    before, after = chosen(engine, alias, old, new)
    named = variant or after.meta.default_variant
    given = {"list": list_name, "category": category}
    found = differences(
        engine, before, after, variant=named, segments=segments, top=top, persistence=persistence,
        filters=[{"term": {field: value}} for field, value in given.items() if value is not None],
    )  # fmt: skip
    rbo = fmean(one.rbo for one in found)
    was, now = (one.meta.rank_fields[named] for one in (before, after))
    only = {"segments_gone": [name for name in was if name not in now],
            "segments_new": [name for name in now if name not in was]}  # fmt: skip
    if output == "json":
        told = {"alias": alias, "old": before.generation.id, "new": after.generation.id, "variant": named, "top": top}
        emit({**told, "rbo": rbo, **only, "segments": [one.to_dict() for one in found]}, output)
        return
    title = f"{before.generation.id} → {after.generation.id}, variant {named}, first {top}: overlap {rbo:.3f}"
    emit([_counts(one) for one in found] if len(found) > 1 else _moves(found[0]), output, title=title)
    for what, names in only.items():
        if names and not segments:
            stderr.print(f"{what.replace('_', ' ')}: {', '.join(names)}", style="dim", markup=False)


def _counts(one: SegmentDifference) -> dict[str, Any]:
    told = {"segment": one.segment, "overlap": one.rbo, "stay": one.stay}
    return told | {name: len(moves) for name, moves in _kinds(one).items()}


def _moves(one: SegmentDifference) -> list[dict[str, Any]]:
    return [
        {"what": name, "item": move.item, "title": move.title, "before": move.before, "after": move.after}
        for name, moves in _kinds(one).items()
        for move in moves
    ]


def _kinds(one: SegmentDifference) -> dict[str, Sequence[Move]]:
    return {"rose": one.risers, "fell": one.fallers, "new": one.new, "gone": one.gone}


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
