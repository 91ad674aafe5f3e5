"""How commands speak: data on stdout as a table or JSON, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

Command = TypeVar("Command", bound=Callable[..., Any])

stderr = Console(stderr=True, highlight=False)


def output_option(command: Command) -> Command:
    """Adds `--output table|json` (parameter `output`) to a command that lists or reports."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="table for people, json for scripts (keys are stable).",
    )(command)


def emit(data: Mapping[str, Any] | Sequence[Mapping[str, Any]], output: str, *, title: str | None = None) -> None:
    """Prints one mapping (as key and value rows) or a list of mappings (as a table) to stdout."""
    if output == "json":
        click.echo(json.dumps(data, indent=2, default=str, ensure_ascii=False))
        return
    # What is shown may be anybody's text: square brackets in it are no markup.
    console = Console(highlight=False, markup=False)
    if isinstance(data, Mapping):
        console.print(_table([{"name": key, "value": value} for key, value in data.items()], title))
    else:
        console.print(_table(data, title))


def _table(rows: Iterable[Mapping[str, Any]], title: str | None) -> Table:
    listed = list(rows)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    columns = list(dict.fromkeys(key for row in listed for key in row))
    for column in columns:
        numeric = listed and all(isinstance(row.get(column), int | float | None) for row in listed)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, Mapping | list):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
