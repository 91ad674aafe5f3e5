"""`es-ranking lures`: what the filter suspects, and what operators decide about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from cli.audit import change_options, emit_history, emit_version, store_of, when, who
from cli.output import emit, output_option, stderr
from segments.errors import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from es_ranking.policy.lures import LureDecisions, LureStore


@click.group(name="lures")
def group() -> None:
    """Items that draw clicks against the searcher's intent: a queue to decide, and every decision with its reasons."""


@group.command(name="review")
@click.argument("index")
@click.option("--work", default="runs", show_default=True, help="The night's work folder.")
@click.option("--top", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="The worst N.")
@output_option
def review(index: str, work: str, top: int, output: str) -> None:
    """List the most suspicious items that nobody has decided, the worst first, each with the signs that speak.

    From the newest night's queue, without what has been decided since.

    \b
    Example:
      es-ranking lures review products --top 20
      es-ranking lures review products --work runs --output json
    """
    from spark_jobs.lure_files import newest_queue

    store = _store(index)
    found = newest_queue(Path(work), store.index.removesuffix(f"-{store.kind.name}"))
    decided = store.in_force().by_item
    queue = [row for row in found.queue if row["item"] not in decided][:top]
    if output == "json":
        emit({"run": found.run, "index": found.index, "judged": found.judged, "lures": found.lures,
              "rules": found.rules, "queue": queue}, output)  # fmt: skip
        return
    emit(queue, output, title=f"run {found.run}: {found.lures} of {found.judged} items are called lures")


def _decision(verdict: Literal["allow", "deny"], what: str) -> click.Command:
    @click.argument("index")
    @click.argument("items", nargs=-1, required=True, metavar="ITEM...")
    @click.option("--segment", "segments", multiple=True, metavar="S", help="Only for this segment (repeatable).")
    @change_options
    @output_option
    def decide(
        index: str, items: tuple[str, ...], segments: tuple[str, ...], by: str | None, note: str, at: str | None,
        dry_run: bool, output: str,
    ) -> None:  # fmt: skip
        from es_ranking.policy.lures import LureDecision

        fresh = [
            LureDecision.of({"item": item, "verdict": verdict, "segments": segments}, where=item)
            for item in dict.fromkeys(items)
        ]
        store = _store(index)
        _check(store, index, items, segments)
        _put(store, lambda now: now.decided(fresh), by=by, note=note, at=at, dry_run=dry_run, output=output)

    decide.__doc__ = f"""{what}

    It holds from the next night on (or the next hourly run), until it is cleared or decided otherwise.

    \b
    Example:
      es-ranking lures {verdict} products 1029743 908846 --by ann --note "looked at the pictures"
      es-ranking lures {verdict} products 1029743 --segment d_35_44 --by ann
    """
    return group.command(name=verdict)(decide)


allow = _decision("allow", "Decide that items are no lures: they keep their places, and the filter learns from it.")
deny = _decision(
    "deny", "Decide that items are lures: they are treated as the recipe says, and the filter learns from it."
)


@group.command(name="clear")
@click.argument("index")
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@change_options
@output_option
def clear(
    index: str, items: tuple[str, ...], by: str | None, note: str, at: str | None, dry_run: bool, output: str
) -> None:
    """Take decisions back: the filter judges these items again.

    \b
    Example:
      es-ranking lures clear products 1029743 --by ann --note "new pictures"
    """
    store = _store(index)
    unknown = sorted(set(items) - set(store.in_force().by_item))
    if unknown:
        raise UsageError(f"nothing was decided about {', '.join(unknown)}", where=store.index,
                         hint=f"es-ranking lures show {index}")  # fmt: skip
    _put(store, lambda now: now.without(items), by=by, note=note, at=at, dry_run=dry_run, output=output)


@group.command(name="show")
@click.argument("index")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="As of this version; the one in force else.")
@output_option
def show(index: str, version: int | None, output: str) -> None:
    """Show what is decided: items, verdicts, where they hold, and who decided last, when and why.

    \b
    Example:
      es-ranking lures show products
    """
    store = _store(index)
    shown = store.version(version) if version else store.latest()
    if shown is None:
        raise Refused("nothing was ever decided", where=store.index,
                      hint=f"es-ranking lures review {index}, then allow or deny")  # fmt: skip
    if output == "json":
        emit_version(shown, output)
        return
    rows = [one.model_dump(mode="json") for one in shown.read().decisions]
    emit(rows, output, title=f"version {shown.version}, {shown.at}, {shown.by}: {shown.note or '-'}")


@group.command(name="history")
@click.argument("index")
@output_option
def history(index: str, output: str) -> None:
    """List every version: who decided it, when, why, and what changed.

    \b
    Example:
      es-ranking lures history products --output json
    """
    emit_history(_store(index), output)


def _put(
    store: LureStore, change: Callable[[LureDecisions], LureDecisions], *, by: str | None, note: str, at: str | None,
    dry_run: bool, output: str,
) -> None:  # fmt: skip
    version = store.next(change(store.in_force()), by=who(by), at=when(at), note=note)
    if not dry_run:
        store.put(version)
    emit_version(version, output, stored=not dry_run)


def _check(store: LureStore, index: str, items: tuple[str, ...], segments: tuple[str, ...]) -> None:
    """Refuses segments that nothing is ranked for, and names items that are not there now: they may come later."""
    from es_ranking.publish.generation import serving_meta

    ranked = {one for each in serving_meta(store.engine, index).rank_fields.values() for one in each}
    for segment in segments:
        if segment not in ranked:
            raise UsageError.unknown("segment", segment, ranked, where=index)
    found = store.engine.mget(index, list(items), source=["item_id"])
    for item, document in zip(items, found, strict=True):
        if document is None:
            stderr.print(f"item {item} is not in {index} now", style="yellow", markup=False)


def _store(index: str) -> LureStore:
    from es_ranking.policy.lures import LureStore

    return store_of(LureStore, index)
