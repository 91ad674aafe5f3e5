"""`es-ranking bench`: what this machine does."""

from __future__ import annotations

import click

from cli.output import emit, output_option
from spark_jobs.models.registry import MODELS


@click.group("bench")
def group() -> None:
    """Measure this machine.

    \b
    Example:
      es-ranking bench scoring --items 100000 --segments 50 --model deepfm
    """


@group.command("scoring")
@click.option("--items", default=100_000, show_default=True, help="Items to score.")
@click.option("--segments", default=50, show_default=True, help="Segments to score each item for.")
@click.option("--model", default="deepfm", show_default=True, help=f"{', '.join(MODELS)}.")
@click.option("--hidden", help="Widths of the deep part, such as 400,400,400.")
@click.option("--threads", default=0, help="Threads; 0 leaves torch's choice.")
@output_option
def scoring(items: int, segments: int, model: str, hidden: str | None, threads: int, output: str) -> None:
    """Pairs a second of the grid, beside the machine's best matrix product of the same run.

    \b
    Example:
      es-ranking bench scoring --items 200000 --segments 100 --model deepfm --hidden 400,400,400 --output json
    """
    from segments.errors import UsageError
    from spark_jobs.models.scoring_bench import bench_scoring

    try:
        widths = None if hidden is None else tuple(int(width) for width in hidden.split(","))
    except ValueError as error:
        raise UsageError(f"not a list of widths: {hidden!r}", hint="--hidden 400,400,400") from error
    emit(bench_scoring(items=items, segments=segments, model=model, hidden=widths, threads=threads), output)
