"""The options of commands that read the logs of an experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def log_options(command: Command) -> Command:
    """`--exposures`, `--events`, `--experiment`, `--effect` (as `scale`) and `--window-days`."""
    for option in (
        click.option("--window-days", type=click.IntRange(min=1), default=7, show_default=True,
                     help="How long after a view an event without request_id belongs to it."),
        click.option("--effect", "scale", type=click.FloatRange(min=0, min_open=True), default=0.05, show_default=True,
                     help="Relative effect hoped for: always-valid intervals are narrowest there."),
        click.option("--experiment", required=True, metavar="NAME", help="As exposures name it."),
        click.option("--events", required=True, type=click.Path(exists=True, path_type=Path),
                     help="Event log: a file or folder, JSON lines or Parquet."),
        click.option("--exposures", required=True, type=click.Path(exists=True, path_type=Path),
                     help="Exposure log: a file or folder, JSON lines or Parquet."),
    ):  # fmt: skip
        command = option(command)
    return command
