"""What commands on versioned documents share: where the versions are, who decides, when and why, and the history."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.output import emit
from cli.times import time_or_now
from segments.errors import UsageError

if TYPE_CHECKING:
    from es_ranking.versions.store import Version, VersionStore

S = TypeVar("S", bound="VersionStore[Any]")
Command = TypeVar("Command", bound=Callable[..., Any])
WHO = "ES_RANKING_BY"


def change_options(command: Command) -> Command:
    """Options `by`, `note`, `at` and `dry_run`."""
    for option in (
        click.option("--by", metavar="NAME", help=f"Who decides it, for the audit ({WHO} otherwise)."),
        click.option("--note", default="", metavar="TEXT", help="Why, for the audit."),
        click.option("--at", metavar="T", help="When, UTC, for the audit; now otherwise."),
        click.option("--dry-run", is_flag=True, help="Show the version that would be stored, and store nothing."),
    ):
        command = option(command)
    return command


def who(by: str | None) -> str:
    """The name for the audit.

    Raises:
        UsageError: nobody says.
    """
    name = by or os.environ.get(WHO, "")
    if not name:
        raise UsageError("who decides this?", where="--by", hint=f"--by NAME, or set {WHO}")
    return name


def when(at: str | None) -> datetime:
    """The time for the audit, or of a campaign: now where none is given."""
    return time_or_now(at, where="--at")


def store_of(kind: type[S], index: str) -> S:
    """The versions of one kind of documents, of what serves under this name."""
    from es_ranking.engine.connect import connect
    from es_ranking.publish.generation import serving_meta

    engine = connect()
    return kind(engine, serving_meta(engine, index).alias)


def emit_version(version: Version[Any], output: str, **told: Any) -> None:
    """One version, and what else is told of it; a table without the document itself."""
    whole = version.to_dict() | told
    if output == "json":
        emit(whole, output)
        return
    emit({key: whole[key] for key in ("version", "at", "by", "note", *told)}, output)
    for line in version.changes:
        click.echo(f"  {line}")


def emit_history(store: VersionStore[Any], output: str) -> None:
    """Every version; a table without the documents themselves."""
    versions = [version.to_dict() for version in store.versions()]
    if output == "table":
        versions = [
            {key: version[key] for key in ("version", "at", "by", "note")} | {"changes": "\n".join(version["changes"])}
            for version in versions
        ]
    emit(versions, output)
