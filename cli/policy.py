"""`es-ranking policy`: what merchandisers decide: show, put, history, preview, roll back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.audit import change_options, emit_history, emit_version, store_of, when, who
from cli.output import emit, output_option, stderr
from cli.search import read_body, row_of
from segments.errors import Refused

if TYPE_CHECKING:
    from es_ranking.policy.document import Policy
    from es_ranking.policy.store import PolicyStore
    from es_ranking.versions.store import Version


@click.group(name="policy")
def group() -> None:
    """Pins, boosts, exclusions and campaigns: every version is kept, the latest is in force within seconds."""


@group.command(name="show")
@click.argument("index")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="This version; the one in force otherwise.")
@output_option
def show(index: str, version: int | None, output: str) -> None:
    """Show a policy: who put it, when, and the document itself.

    \b
    Example:
      es-ranking policy show products
    """
    store = _store(index)
    shown = store.version(version) if version else _latest(store)
    emit_version(shown, output, stored=True)


@group.command(name="put")
@click.argument("index")
@click.argument("file", type=click.Path(dir_okay=False))
@change_options
@output_option
def put(index: str, file: str, by: str | None, note: str, at: str | None, dry_run: bool, output: str) -> None:
    """Check a policy file (YAML or JSON) and put it into force.

    Refused, with one line each: unknown keys, fields the index does not have or cannot compare, a document that
    changes nothing.

    \b
    Example:
      es-ranking policy put products policy.yaml --by ann --dry-run
      es-ranking policy put products policy.yaml --by ann --note "soup week"
    """
    from es_ranking.policy.document import read_policy
    from es_ranking.policy.fit import check_fields, unknown_items

    policy = read_policy(file)
    store = _store(index)
    check_fields(store.engine, index, policy)
    for item in unknown_items(store.engine, index, policy):
        stderr.print(f"item {item} is not in {index} now", style="yellow", markup=False)
    _change(store, store.next(policy, by=who(by), at=when(at), note=note), output, dry_run=dry_run)


@group.command(name="history")
@click.argument("index")
@output_option
def history(index: str, output: str) -> None:
    """List every version: who put it, when, why, and what changed.

    \b
    Example:
      es-ranking policy history products
    """
    emit_history(_store(index), output)


@group.command(name="preview")
@click.argument("index")
@click.option("--file", type=click.Path(dir_okay=False), metavar="FILE",
              help="A policy that is not in force yet; the one in force otherwise.")  # fmt: skip
@click.option("--query", "text", default='{"match_all": {}}', show_default=True, metavar="JSON",
              help="A query clause, a whole search body, or @FILE.")  # fmt: skip
@click.option("--at", metavar="T", help="Campaigns as of this UTC time; now otherwise.")
@click.option("--surface", default="search", show_default=True, metavar="NAME", help="As in `es-ranking search`.")
@click.option("--user", metavar="U", help="As this user sees it.")
@click.option("--segment", metavar="S", help="As this segment sees it.")
@click.option("--variant", metavar="V", help="As this variant shows it.")
@output_option
def preview(
    index: str, file: str | None, text: str, at: str | None, surface: str, user: str | None, segment: str | None,
    variant: str | None, output: str,
) -> None:  # fmt: skip
    """Show a page as a policy would make it, at any time: the same code as a live search.

    \b
    Example:
      es-ranking policy preview products --file policy.yaml --at 2026-11-27T08:00 --query '{"term": {"list": "SOUP"}}'
    """
    from es_ranking.actions.connect import connect_actions
    from es_ranking.engine.connect import connect
    from es_ranking.experiments.live import LiveExperiments
    from es_ranking.policy.document import read_policy
    from es_ranking.policy.live import GivenPolicy, LivePolicies
    from es_ranking.query.recommended import recommended
    from es_ranking.tastes.connect import connect_tastes
    from es_ranking.twiddlers.settings import load_surface

    engine = connect()
    page = recommended(
        engine,
        index,
        read_body(text),
        user=user,
        segment=segment,
        variant=variant,
        at=when(at),
        surface=load_surface(surface),
        actions=connect_actions() if user else None,
        tastes=connect_tastes() if user else None,
        policies=GivenPolicy(read_policy(file)) if file else LivePolicies(engine, timeout_seconds=None),
        experiments=LiveExperiments(engine, timeout_seconds=None),
        explain=True,
    )
    told = page.to_dict()
    if output == "json":
        emit(told, output)
        return
    campaigns = ", ".join(page.campaigns) or "no campaign"
    emit(
        [row_of(hit, explain=True) for hit in told["hits"]],
        output,
        title=f"{page.as_of:%Y-%m-%d %H:%M} UTC: {campaigns}",
    )
    for line in (*page.flags, *page.overruled):
        stderr.print(line, style="yellow", markup=False)


@group.command(name="rollback")
@click.argument("index")
@click.option("--to", "number", type=click.IntRange(min=1), metavar="N", help="This version; the one before otherwise.")
@change_options
@output_option
def rollback(
    index: str, number: int | None, by: str | None, note: str, at: str | None, dry_run: bool, output: str
) -> None:
    """Put an earlier version into force again, as a new version: the history stays whole.

    \b
    Example:
      es-ranking policy rollback products --by ann --note "wrong slot"
    """
    store = _store(index)
    last = _latest(store)
    if number is None and last.version == 1:
        raise Refused("there is no version before the first one", where=store.index)
    earlier = store.version(number or last.version - 1)
    note = note or f"back to version {earlier.version}"
    _change(store, store.next(earlier.read(), by=who(by), at=when(at), note=note), output, dry_run=dry_run)


def _change(store: PolicyStore, version: Version[Policy], output: str, *, dry_run: bool) -> None:
    if not dry_run:
        store.put(version)
    emit_version(version, output, stored=not dry_run)


def _store(index: str) -> PolicyStore:
    from es_ranking.policy.store import PolicyStore

    return store_of(PolicyStore, index)


def _latest(store: PolicyStore) -> Version[Policy]:
    latest = store.latest()
    if latest is not None:
        return latest
    raise Refused("no policy was ever put", where=store.index, hint="es-ranking policy put INDEX FILE --by NAME")
