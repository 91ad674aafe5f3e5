"""`es-ranking actions`: what a user did lately."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from cli.output import emit, output_option
from cli.times import read_time, time_or_now
from segments.errors import ContractBroken, EngineUnreachable, RankingError, UsageError

if TYPE_CHECKING:
    from es_ranking.actions.contract import Action, ActionStore


@click.group(name="actions")
def group() -> None:
    """Record, show or forget what a user did lately."""


@group.command(name="record")
@click.option("--user", metavar="U", help="Who; without it, actions are read from stdin as JSON lines.")
@click.option("--item", metavar="I", help="On which item.")
@click.option("--kind", metavar="K", help="What: view, click, cart, purchase, hide, …")
@click.option("--ts", metavar="T", help="When, UTC; now otherwise.")
@click.option("--event-id", metavar="E", help="Names the action for ever: sent twice, it counts once. New otherwise.")
@output_option
def record(
    user: str | None, item: str | None, kind: str | None, ts: str | None, event_id: str | None, output: str
) -> None:
    """Record actions: one from the options, or many from stdin.

    A line of stdin is {"user", "item", "kind", "ts", "event_id"}. Sending the same lines again changes nothing.

    \b
    Example:
      es-ranking actions record --user 1 --item 1029743 --kind purchase
      es-ranking actions record < actions.jsonl
    """
    from es_ranking.actions.contract import Action

    if user is None:
        batch = list(read_actions(sys.stdin))
    elif item is None or kind is None:
        raise UsageError("an action needs --user, --item and --kind")
    else:
        when = time_or_now(ts, where="--ts")
        batch = [Action(user, item, kind, when, event_id or uuid4().hex)]
    _store().record(batch)
    emit({"recorded": len(batch)}, output)


@group.command(name="show")
@click.argument("user")
@click.option("--days", type=click.FloatRange(min=0.0), default=28.0, show_default=True, help="How far back.")
@click.option("--as-of", metavar="T", help="Actions before this UTC time; now otherwise.")
@output_option
def show(user: str, days: float, as_of: str | None, output: str) -> None:
    """Show what a user did, by item and kind.

    \b
    Example:
      es-ranking actions show 1 --days 7
    """
    when = time_or_now(as_of, where="--as-of")
    counts = _store().counts(user, when, timedelta(days=days))
    rows = [{"item": item, **by_kind} for item, by_kind in sorted(counts.items())]
    emit(rows, output, title=f"user {user}, {days:g} days before {when:%Y-%m-%d %H:%M} UTC")


@group.command(name="forget")
@click.argument("user")
@output_option
def forget(user: str, output: str) -> None:
    """Remove everything the store holds about a user.

    \b
    Example:
      es-ranking actions forget 1
    """
    emit({"user": user, "removed": _store().forget(user)}, output)


def _store() -> ActionStore:
    from es_ranking.actions.connect import connect_actions

    store = connect_actions()
    if store is None:
        raise EngineUnreachable(
            "no recent-action store is configured",
            hint="set REDIS_URL, or start the embedded one: es-ranking node start",
        )
    return store


def read_actions(lines: Iterable[str]) -> Iterator[Action]:
    """Actions from JSON lines; a line that is none breaks the contract and is named."""
    from es_ranking.actions.contract import Action

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            ts = read_time(str(values["ts"]), where="ts")
            user, item, kind, event_id = (str(values[name]) for name in ("user", "item", "kind", "event_id"))
            yield Action(user, item, kind, ts, event_id)
        except (ValueError, KeyError, TypeError, RankingError) as error:
            wanted = "user, item, kind, ts, event_id"
            raise ContractBroken("not an action", where=f"stdin:{number}", hint=f"an object with {wanted}") from error
