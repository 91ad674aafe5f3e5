"""`es-ranking models continual`: is going on from yesterday better than standing still, and than training anew?"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from cli.output import emit, output_option, stderr


@click.command("continual")
@click.option("--source", "recipe", default="world", show_default=True, metavar="S", help="world, or a recipe of one.")
@click.option("--days", type=click.IntRange(min=1), metavar="N", help="Days replayed; without it the file's, else 6.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(min=1), help="Worlds, one a seed.")
@click.option("--first-seed", default=1, show_default=True, help="The first of them.")
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="YAML: drift, sizes, daily, hourly.")
@click.option("--work", default="runs", show_default=True, help="Local folder; results go to continual/ below it.")
@output_option
def continual(
    recipe: str, days: int | None, seeds: int, first_seed: int, config: Path | None, work: str, output: str
) -> None:
    """Replay days of a world whose tastes drift, and compare who serves the next day better.

    Compared are no update, training anew each night (on all days, and on the last ones), and continuing daily and
    hourly. Judged by the true click rate of the first places, gAUC and logloss of the day after. Writes replay.json and
    the picture replay.png.

    \b
    Example:
      es-ranking models continual --source world --days 6 --output json
    """
    from spark_jobs.recipe import load_recipe
    from spark_jobs.replay import replay
    from spark_jobs.replay_settings import ReplaySettings

    settings = ReplaySettings.read(config) if config else ReplaySettings()
    if days is not None:
        settings = settings.model_copy(update={"days": days})
    # Hundreds of trainings: the report tells what came of them.
    logging.getLogger("es_ranking.models").setLevel(logging.WARNING)
    numbers = range(first_seed, first_seed + seeds)
    with stderr.status("starting") as status:
        report = replay(
            load_recipe(recipe), settings, seeds=numbers, folder=Path(work) / "continual",
            on_stage=lambda stage: status.update(f"{stage} …"),
        )  # fmt: skip
    if output == "json":
        emit(report, output)
        return
    title = f"{settings.days} days, {seeds} seeds, drift every {settings.drift_days} days: {report['picture']}"
    emit(_rows(report), output, title=title)


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a contestant: true click rates, and the gain in the one served with its interval over the seeds."""
    rows = []
    for name, figures in report["contestants"].items():
        gains = report["differences"].get(name, {})
        rows.append(
            {
                "contestant": name,
                "served": figures["ctr_served"]["value"],
                "midnight": figures["ctr"]["value"],
                **{key: figures[key]["value"] for key in ("gauc", "logloss")},
                "over no_update": _gain(gains.get("over_no_update")),
                "over nightly": _gain(gains.get("over_nightly")),
            }
        )
    return [*rows, {"contestant": "truth", "served": report["best_ctr"]}]


def _gain(figures: dict[str, Any] | None) -> str | None:
    if figures is None:
        return None
    gain = figures["ctr_served"]
    if gain["low"] is None:
        return f"{gain['value']:+.4f}"
    return f"{gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
