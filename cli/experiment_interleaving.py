"""`es-ranking experiment interleaving`: which of two variants users preferred where they saw both in one list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.experiment_logs import log_options
from cli.output import emit, output_option, stderr


@click.command(name="interleaving")
@log_options
@output_option
def interleaving(exposures: Path, events: Path, experiment: str, scale: float, window_days: int, output: str) -> None:
    """Tell whose picks users preferred, where a bucket A+B2 showed two variants in one list.

    A share of 0.5 is no preference; above it the second variant is preferred. Refused (exit 3): no interleaved list.

    \b
    Example:
      es-ranking experiment ratios set products duel A+B2=1
      es-ranking experiment interleaving --exposures shown.jsonl --events /data/events --experiment duel
    """
    from spark_jobs.ab_teams import interleaving_report

    told = interleaving_report(exposures, events, experiment, scale=scale, window_days=window_days)
    if output == "json":
        emit(told, output)
        return
    for pair, one in told["pairs"].items():
        first, second = one["variants"]
        rows = [_row(name, found, first, second) for name, found in one["metrics"].items() if found is not None]
        emit(rows, output, title=f"{pair} {told['from']} to {told['to']}: {one['users']} users, {one['views']} views")
    for warning in told["warnings"]:
        stderr.print(f"warning: {warning}", style="yellow", markup=False)


def _row(name: str, found: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    share = found["share"]
    return {
        "metric": name,
        first: found["first"],
        second: found["second"],
        f"share of {second}": f"{share['value']:.3f} [{share['low']:.3f}, {share['high']:.3f}]"
        if share["low"] is not None else f"{share['value']:.3f}",
        "p": found["p"],
        "always_valid_p": found["always_valid_p"],
        "users": found["users"],
    }  # fmt: skip
