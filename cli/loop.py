"""`es-ranking loop`: thirty nights in a world whose truth is known, in arrays and through the real job."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from cli.output import emit, output_option, stderr


@click.group("loop")
def group() -> None:
    """Close the loop in a generated world: nights, pages, clicks, and the next night learns from them.

    \b
    Example:
      es-ranking loop run --seeds 3 --nights 10
    """


@group.command("run")
@click.option("--seeds", default=10, show_default=True, type=click.IntRange(min=1), help="Worlds, one a seed.")
@click.option("--first-seed", default=1, show_default=True, type=click.IntRange(min=0), help="The first of them.")
@click.option("--nights", type=click.IntRange(min=1), metavar="N", help="Without it the file's, else 30.")
@click.option("--ablate", multiple=True, metavar="NAME", help="Also without a part: its name, or all; repeatable.")
@click.option("--ablation-seeds", type=click.IntRange(min=1), metavar="N", help="Ablations take the first N seeds.")
@click.option(
    "--recipe", metavar="R", help="Recipe of the nights, its source a world; without it the file's, else loop."
)
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="YAML: nights, warm-up, surface, …")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Processes.")
@click.option("--folder", default="runs/loop", show_default=True, type=click.Path(path_type=Path), help="Of the run.")
@output_option
def run(
    seeds: int, first_seed: int, nights: int | None, ablate: tuple[str, ...], ablation_seeds: int | None,
    recipe: str | None, config: Path | None, jobs: int, folder: Path, output: str,
) -> None:  # fmt: skip
    """Run the nights of every seed, or what is left of them, and report.

    Every variant serves a bucket of its own; all learn from all logs but the oracle's. Needs neither Spark nor an
    engine. Killed and run again it goes on where it was. Writes loop.json and pictures.

    \b
    Example:
      es-ranking loop run --seeds 10 --ablate all --ablation-seeds 4 --jobs 2
    """
    from spark_jobs.loop.many import run_loop

    # Hundreds of trainings: the report tells what came of them.
    logging.getLogger("es_ranking.models").setLevel(logging.WARNING)
    numbers = range(first_seed, first_seed + seeds)
    with stderr.status("starting") as status:
        report = run_loop(
            _settings(config, recipe, nights), seeds=numbers, ablate=ablate, ablation_seeds=ablation_seeds, jobs=jobs,
            folder=folder, on_world=lambda told: status.update(f"{told} …"),
        )  # fmt: skip
    if output == "json":
        emit(report, output)
        return
    emit(_rows(report), output, title=f"{report['seeds']} seeds: {', '.join(report['pictures'])}")


def _settings(config: Path | None, recipe: str | None, nights: int | None) -> Any:
    from spark_jobs.loop.settings import LoopSettings

    settings = LoopSettings.read(config) if config else LoopSettings()
    given = {name: value for name, value in (("recipe", recipe), ("nights", nights)) if value is not None}
    return settings.model_copy(update=given)


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a variant: means over the seeds, and how much of the way from A to the oracle it went."""
    rows = []
    for name, figures in report["variants"].items():
        reached = report["reached"].get(name)
        rows.append(
            {
                "variant": name,
                **{rate: round(told["value"], 4) for rate, told in figures.items()},
                "of the way": None if reached is None else _with_interval(reached),
            }
        )
    return rows


def _with_interval(told: dict[str, Any]) -> str:
    if told["low"] is None:
        return f"{told['value']:.2f}"
    return f"{told['value']:.2f} [{told['low']:.2f}, {told['high']:.2f}]"


@group.command("check")
@click.option("--nights", default=2, show_default=True, type=click.IntRange(min=1), help="A minute and more each.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Of the world.")
@click.option("--recipe", metavar="R", help="As `loop run`.")
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="As `loop run`.")
@click.option(
    "--folder", default="runs/loop-check", show_default=True, type=click.Path(path_type=Path), help="Its own."
)
@output_option
def check(nights: int, seed: int, recipe: str | None, config: Path | None, folder: Path, output: str) -> None:
    """Run nights through Spark and a real engine too, and compare the pages.

    Users see the engine's pages; the arrays' are made of the same logs. The engine is that of ES_URL, or the embedded
    node.

    \b
    Example:
      es-ranking loop check --nights 2
    """
    from es_ranking.engine.connect import connect
    from spark_jobs.loop.check import check as checked
    from spark_jobs.session import spark_session

    logging.getLogger("es_ranking.models").setLevel(logging.WARNING)
    engine = connect()
    with stderr.status("starting") as status:
        rows = checked(
            spark_session("es-ranking loop"), engine, _settings(config, recipe, nights), seed=seed,
            root=str((folder / "tables").resolve()), work=folder / "runs",
            on_stage=lambda told: status.update(f"{told} …"),
        )  # fmt: skip
    emit(rows, output, title=f"{nights} nights, pages of the engine beside those of the arrays")
