"""Who decides, when and why: the options of every command that puts a version of a document."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from cli.search import read_time
from segments.errors import UsageError

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
    return datetime.now(UTC) if at is None else read_time(at, where="--at")
