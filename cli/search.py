"""`es-ranking search`: a query sorted by recommended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cli.output import emit, output_option, stderr
from cli.times import read_time
from segments.errors import UsageError


@click.command(name="search")
@click.argument("index")
@click.option("--query", "text", default='{"match_all": {}}', show_default=True, metavar="JSON",
              help="A query clause, a whole search body, or @FILE.")  # fmt: skip
@click.option("--user", metavar="U", help="Serve this user: his segment, his recent actions.")
@click.option("--segment", metavar="S", help="Serve this segment, whoever asks.")
@click.option("--variant", metavar="V", help="Serve this variant; the generation's default otherwise.")
@click.option("--surface", default="search", show_default=True, metavar="NAME",
              help="Twiddlers and their parameters: search, category, banners, or a YAML file.")  # fmt: skip
@click.option("--without", multiple=True, metavar="T",
              help="Switch a twiddler off, such as downrank, pins, interval (repeat).")  # fmt: skip
@click.option("--size", type=click.IntRange(min=0), help="Hits on the page (10, or the body's own).")
@click.option("--cursor", metavar="C", help="The cursor of the page before (needs ES_RANKING_CURSOR_KEY).")
@click.option("--at", metavar="T", help="Recent actions before, and campaigns as of, this UTC time; now otherwise.")
@click.option("--way", type=click.Choice(["auto", "at_once", "plan_then_fetch", "script"]), default="auto",
              show_default=True, help="How to run it; all ways give the same order.")  # fmt: skip
@click.option(
    "--exposures", type=click.Path(dir_okay=False), metavar="FILE", help="Append what is shown, as JSON lines."
)
@click.option("--explain", is_flag=True, help="Show which stage moved each hit, and why.")
@output_option
def command(
    index: str,
    text: str,
    user: str | None,
    segment: str | None,
    variant: str | None,
    surface: str,
    without: tuple[str, ...],
    size: int | None,
    cursor: str | None,
    at: str | None,
    way: str,
    exposures: str | None,
    explain: bool,
    output: str,
) -> None:
    """Run a query sorted by recommended.

    \b
    Example:
      es-ranking search products --query '{"term": {"category": "SOUP"}}' --segment all
      es-ranking search products --query '{"match": {"title": "soup"}}' --user 1 --size 20 --explain
    """
    from es_ranking.actions.connect import connect_actions
    from es_ranking.engine.connect import connect
    from es_ranking.experiments.live import LiveExperiments
    from es_ranking.policy.live import LivePolicies
    from es_ranking.query.cursor import has_lasting_key
    from es_ranking.query.exposures import JsonLinesExposureLog
    from es_ranking.query.recommended import recommended
    from es_ranking.tastes.connect import connect_tastes
    from es_ranking.twiddlers.registry import TWIDDLERS
    from es_ranking.twiddlers.settings import load_surface

    for name in without:
        if name not in TWIDDLERS:
            raise UsageError.unknown("twiddler", name, TWIDDLERS)
    body = read_body(text)
    if size is not None:
        body["size"] = size
    engine = connect()
    page = recommended(
        engine,
        index,
        body,
        user=user,
        segment=segment,
        variant=variant,
        at=None if at is None else read_time(at, where="--at"),
        surface=load_surface(surface),
        twiddlers=[name for name in TWIDDLERS if name not in without],
        actions=connect_actions() if user else None,
        tastes=connect_tastes() if user else None,
        policies=LivePolicies(engine, timeout_seconds=None),
        experiments=LiveExperiments(engine, timeout_seconds=None),
        cursor=cursor,
        way=way,
        explain=explain,
        exposures=JsonLinesExposureLog(Path(exposures)) if exposures else None,
    )
    told = page.to_dict()
    if not has_lasting_key() and told["cursor"]:
        told["cursor"] = None
        stderr.print("set ES_RANKING_CURSOR_KEY to get a cursor for the next page", style="dim")
    if output == "json":
        emit(told, output)
        return
    rows = [row_of(hit, explain=explain) for hit in told["hits"]]
    served = f"{page.generation}, variant {page.variant}, segment {page.segment}, {page.certificate}"
    emit(rows, output, title=served + "".join(f", {flag}" for flag in page.flags))
    if told["cursor"]:
        stderr.print(f"--cursor {told['cursor']}", style="dim", soft_wrap=True)


def row_of(hit: dict[str, Any], *, explain: bool) -> dict[str, Any]:
    """A hit as the table shows it."""
    source = hit["source"]
    row = {"place": hit["place"], "item": hit["item"], **{k: source.get(k) for k in ("title", "brand_id", "list")}}
    if explain:
        moves = hit.get("moves", [])
        row["moves"] = "; ".join(f"{m['stage']} {m['from'] or '…'}→{m['to']} ({m['reason']})" for m in moves) or None
    return row


def read_body(text: str) -> dict[str, Any]:
    """A query clause or a whole body, as JSON or from `@FILE`."""
    try:
        source = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        body = json.loads(source)
    except OSError as error:
        raise UsageError("cannot read the file", where=text[1:], hint=error.strerror) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid JSON: {error}", where="--query") from error
    if not isinstance(body, dict):
        raise UsageError("a query is a JSON object", where="--query", hint='{"term": {"category": "SOUP"}}')
    whole = {"query", "size", "from", "aggs", "post_filter", "_source"} & set(body)
    return body if whole or not body else {"query": body}
