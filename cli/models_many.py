"""`es-ranking models sweep | ablate | compare`: many experiments, and how they stand side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cli.models_run import night_of, run_options
from cli.output import emit, output_option, stderr

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial
    from spark_jobs.sweep_settings import Ablation, Sweep

SHOWN = ("gauc", "ndcg@20", "mrr@20")  # what a screen has room for; --output json has all

jobs_option = click.option("--jobs", type=click.IntRange(min=1), metavar="N",
                           help="Trials at a time; 1 in processes, all the session's cores on Spark.")  # fmt: skip
on_option = click.option("--on", type=click.Choice(["processes", "spark"]), default="processes", show_default=True,
                         help="Processes of this machine, or Spark tasks over a shared path.")  # fmt: skip
track_option = click.option("--track", type=click.Choice(["mlflow"]), help="Log each trial there as well.")


@click.command("sweep")
@click.option("--config", type=click.Path(exists=True, path_type=Path), required=True, help="YAML: base, grid, search.")
@on_option
@jobs_option
@track_option
@run_options
@output_option
def sweep(config: Path, **options: Any) -> None:
    """Runs an experiment with many settings and seeds, several trials at a time.

    Run again (after a kill, or with more seeds), it makes only what is not finished, wherever it is made. The winner
    is chosen by the last days before the clock; the days after it stand beside. A YAML file says what to try; a search
    needs Optuna (the extra `tuning`):

    \b
      name: widths
      base: {model: {kind: deepfm}, training: {epochs: 2}, seeds: [7, 8, 9]}
      grid: {model.dim: [8, 16], training.learning_rate: [0.001, 0.002]}
      # or, in place of grid
      search: {trials: 20, space: {model.dim: {low: 4, high: 64, log: true, integer: true}}}
      metric: gauc   # of the last days before the clock: chooses the winner, marked with *

    \b
    Example:
      es-ranking models sweep --config sweep.yaml --source complete-journey --run-date 2017-11-27 --jobs 2
    """
    from spark_jobs.sweep_settings import Sweep

    _make(Sweep.read(config), **options)


@click.command("ablate")
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="YAML: base, sets, groups, each.")
@on_option
@jobs_option
@track_option
@run_options
@output_option
def ablate(config: Path | None, **options: Any) -> None:
    """Runs an experiment without some of its fields: without each, without groups, or with sets of your own.

    Without a file every field of the recipe's product shelf is left out by itself. Resumable as a sweep is.

    \b
      base: {seeds: [7, 8, 9]}
      groups: {prices: [price, discount], text: [text_vector]}
      sets: {ids-only: {only: [item, brand, demographic]}}

    \b
    Example:
      es-ranking models ablate --config ablation.yaml --source complete-journey --run-date 2017-11-27
    """
    from spark_jobs.sweep_settings import Ablation

    _make(Ablation.read(config) if config else Ablation(), **options)


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--variant", metavar="V", help="Whose figures; the recipe's default variant otherwise.")
@click.option("--interval", type=click.Choice(["t", "bootstrap"]), default="t", show_default=True,
              help="Over seeds; with one seed the run's own, over people.")  # fmt: skip
@output_option
def compare(runs: tuple[Path, ...], variant: str | None, interval: Literal["t", "bootstrap"], output: str) -> None:
    """Shows RUNS side by side: folders of experiments, or of whole sweeps.

    Folders that differ by seed alone are one line. The best after the clock is marked with * only where it is better
    than every other by more than chance.

    \b
    Example:
      es-ranking models compare runs/20171127T000000/experiments/deepfm runs/20171127T000000/experiments/widths
    """
    from spark_jobs.comparison import compare as side_by_side
    from spark_jobs.sweep import expanded

    report = side_by_side(expanded(runs), variant=variant, how=interval)
    emit(report if output == "json" else _lines(report), output, title=f"variant {report['variant']}")


def _make(
    work_to_do: Sweep | Ablation,
    *,
    recipe: str,
    run_date: str | None,
    as_of: str | None,
    warehouse: str,
    work: str,
    on: str,
    jobs: int | None,
    track: str | None,
    output: str,
) -> None:
    from spark_jobs.arena import Arena
    from spark_jobs.crew import Crew, processes
    from spark_jobs.night import parse_clock, run_id
    from spark_jobs.recipe import load_recipe
    from spark_jobs.sweep import plan_of, run
    from spark_jobs.tracking import MlflowTracker
    from spark_jobs.trial_tasks import tasks

    settings = load_recipe(recipe)
    known = plan_of(work_to_do, settings)
    folder = Path(work) / run_id(parse_clock(run_date, as_of)) / "experiments" / work_to_do.name
    tracker = MlflowTracker(work_to_do.name) if track else None

    def read() -> Arena:
        with stderr.status("reading the visits after the clock …"):
            night = night_of("sweep", recipe, run_date=run_date, as_of=as_of, warehouse=warehouse, work=work)
            return Arena.of(night, known[0].shelf, schemas=[trial.schema for trial in known])

    def told(done: int, of: int, trial: Trial, report: dict[str, Any]) -> None:
        value = report["seeds"][0]["training"].get(work_to_do.metric)
        seconds = sum(report["seconds"].values())
        shown = "nothing to choose by" if value is None else f"{work_to_do.metric} {value:.4f} before the clock"
        stderr.print(f"{done}/{of} {trial.name}: {shown}, {seconds:.0f} s", soft_wrap=True)
        if tracker is not None:
            tracker.record(trial, report)

    hands = tasks(jobs) if on == "spark" else processes(jobs or 1)
    with Crew(folder, read, hands=hands, on_trial=told) as crew:
        report = run(work_to_do, settings, crew)
    title = f"{work_to_do.name}: {report['trials']} trials, {report['made']} made now: {folder}"
    if report["winner"]:
        title += f"; by {work_to_do.metric} before the clock: {report['winner']['name']}"
    emit(report if output == "json" else _lines(report), output, title=title)


def _lines(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a configuration: the days before the clock, that choose, then those after it, ± half an interval.

    A sweep's winner has its * before the clock; side by side, * after it marks what is best beyond chance.
    """
    winner = report.get("winner")
    chosen_by = winner["metric"] if winner else "gauc"
    lines = []
    for row in report["rows"]:
        line: dict[str, Any] = {"run": row["name"], "seeds": len(row["seeds"])}
        before = row["before"].get(chosen_by)
        won = winner is not None and winner["folders"] == row["folders"]
        line[f"{chosen_by} before"] = None if before is None else _told(before, star=won)
        for name in (name for name in SHOWN if name in report["metrics"]):
            line[name] = _told(row[name], star="winner" not in report and name in row["best"])
        lines.append({**line, "parameters": f"{row['parameters']:,}", "seconds": f"{row['seconds']:.0f}"})
    return lines


def _told(value: dict[str, float], *, star: bool) -> str:
    half = "" if value["low"] is None else f" ±{(value['high'] - value['low']) / 2:.4f}"
    return f"{value['value']:.4f}{half}{' *' if star else ''}"
