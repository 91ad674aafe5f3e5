"""`es-ranking personal`: what people like, in the taste store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from cli.actions import read_actions
from cli.models_run import night_of, run_options
from cli.output import emit, output_option, stderr
from cli.times import time_or_now
from segments.errors import EngineUnreachable, Refused

if TYPE_CHECKING:
    from es_ranking.tastes.contract import TasteStore


@click.group(name="personal")
def group() -> None:
    """Load, add to, show and forget what people like."""


@group.command(name="load")
@run_options
@output_option
def load(recipe: str, output: str, **run: Any) -> None:
    """Put everybody's clicks before the night's clock into the taste store.

    The run needs its item vectors (step `embed`). Before or after `publish`, and again at any time: tastes belong to
    the vectors they are of.

    \b
    Example:
      es-ranking personal load --source shop.yaml --run-date 2026-11-22
    """
    from spark_jobs.load_tastes import run as loaded
    from spark_jobs.night import run_step

    with stderr.status("loading …"):
        figures = run_step(night_of("load", recipe, **run), "load_tastes", loaded)
    emit(figures, output)


@group.command(name="click")
@click.argument("index")
@click.option("--kind", "kinds", multiple=True, default=("click",), show_default=True, help="What counts (repeat).")
@output_option
def clicked(index: str, kinds: tuple[str, ...], output: str) -> None:
    """Add clicks from stdin to people's tastes, as soon as they happen.

    A line is {"user", "item", "kind", "ts", "event_id"}, as `actions record` reads it. Sending the same lines again
    changes nothing. Items are looked up in INDEX; those without a vector are left out.

    \b
    Example:
      es-ranking personal click products < clicks.jsonl
    """
    from es_ranking.engine.connect import connect
    from es_ranking.tastes.clicks import add_clicks

    batch = list(read_actions(sys.stdin))
    emit({"read": len(batch), "added": add_clicks(connect(), index, batch, _store(), kinds=kinds)}, output)


@group.command(name="show")
@click.argument("index")
@click.argument("user")
@click.option("--as-of", metavar="T", help="Clicks before this UTC time; now otherwise.")
@output_option
def show(index: str, user: str, as_of: str | None, output: str) -> None:
    """Show how much the store knows of a user, in the space of INDEX's item vectors.

    \b
    Example:
      es-ranking personal show products 2375
    """
    from es_ranking.engine.connect import connect
    from es_ranking.query.audience import Audience

    served = Audience(connect()).resolve(index, user=user)
    when = time_or_now(as_of, where="--as-of")
    taste = _store().taste(_checked(index, served.space), user, when, segment=served.segment)
    vector = None if taste is None else [round(number, 4) for number in taste.total.tolist()]
    emit(
        {"user": user, "segment": served.segment, "space": served.space, "clicks": taste.count if taste else 0,
         "own": vector}, output,
    )  # fmt: skip


@group.command(name="forget")
@click.argument("index")
@click.argument("user")
@output_option
def forget(index: str, user: str, output: str) -> None:
    """Remove a user's taste. The next night's load brings back what the night's own tables still hold.

    \b
    Example:
      es-ranking personal forget products 2375
    """
    from es_ranking.engine.connect import connect
    from es_ranking.publish.generation import serving_meta

    space = _checked(index, serving_meta(connect(), index).space)
    emit({"user": user, "removed": _store().forget(space, user)}, output)


def _checked(index: str, space: str) -> str:
    if not space:
        raise Refused("this generation has no item vectors", where=index, hint="`personal:` in the recipe's shelf")
    return space


def _store() -> TasteStore:
    from es_ranking.tastes.connect import connect_tastes

    store = connect_tastes()
    if store is None:
        raise EngineUnreachable(
            "no taste store is configured", hint="set REDIS_URL, or start the embedded one: es-ranking node start"
        )
    return store
