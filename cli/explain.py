"""`es-ranking explain`: why an item stands where it stands."""

from __future__ import annotations

import click

from cli.output import emit, output_option, stderr


@click.command(name="explain")
@click.argument("item")
@click.option("--segment", metavar="S", help="The segment (or give --user).")
@click.option("--user", metavar="U", help="The segment that serves this user.")
@click.option("--variant", metavar="V", help="The variant; the generation's default otherwise.")
@click.option("--index", default="products", show_default=True, help="Alias, or one generation's index.")
@output_option
def command(item: str, segment: str | None, user: str | None, variant: str | None, index: str, output: str) -> None:
    """Show model score, draw, propensity, lure probability, moves and rank of an item in a segment.

    \b
    Example:
      es-ranking explain 1029743 --segment all
      es-ranking explain 1029743 --segment d_35_44_50k --variant B2 --output json
    """
    from es_ranking.engine.connect import connect
    from es_ranking.query.explain import explain

    told = explain(connect(), index, item, segment=segment, variant=variant, user=user)
    emit(told, output)
    if not told["kept"]:
        stderr.print(
            "the night kept no reasons for this item: they are kept for the first places of each list", style="dim"
        )
