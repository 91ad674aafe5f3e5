"""`es-ranking models`: fit a ranking model on any labelled data, or train and judge one on a run's own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import models_continual, models_look, models_many, models_personal, models_serving
from cli.models_run import night_of, run_options, trial_of
from cli.output import emit, output_option, stderr
from spark_jobs.models.registry import MODELS


@click.group("models")
def group() -> None:
    """Fit ranking models on labelled data, or train and judge them on a run's own tables.

    \b
    Example:
      es-ranking models fit --train train.csv --valid valid.csv --test test.csv --label click --model deepfm
      es-ranking models train --source complete-journey --run-date 2017-11-27 --model two_tower
      es-ranking models sweep --config sweep.yaml --source complete-journey --run-date 2017-11-27 --jobs 2
    """


for command in (models_many.sweep, models_many.ablate, models_many.compare, models_look.importance,
                models_look.collisions, models_look.choose, models_serving.listed, models_serving.promote,
                models_serving.demote, models_continual.continual, models_personal.personal):  # fmt: skip
    group.add_command(command)


@group.command("fit")
@click.option(
    "--train", required=True, type=click.Path(exists=True, path_type=Path), help="CSV or Parquet to learn from."
)
@click.option("--valid", required=True, type=click.Path(exists=True, path_type=Path), help="Chooses the epoch.")
@click.option(
    "--test", required=True, type=click.Path(exists=True, path_type=Path), help="The figures are of these rows."
)
@click.option("--label", required=True, help="Column of 0 and 1.")
@click.option("--group", "group_column", help="Column of the visit (list, request, user): gives gAUC.")
@click.option("--model", default="deepfm", show_default=True, help=f"{', '.join(MODELS)}.")
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="YAML: model, training, columns.")
@output_option
def fit(
    train: Path,
    valid: Path,
    test: Path,
    label: str,
    group_column: str | None,
    model: str,
    config: Path | None,
    output: str,
) -> None:
    """Fits MODEL on any labelled CSV or Parquet and reports its figures on the test rows.

    Columns are inferred: text, booleans and integers with few or id-like values are categorical, other numbers numeric.
    What was inferred is said on stderr. A YAML file can declare it:

    \b
      model: {dim: 16, hidden: [128, 64]}
      training: {epochs: 5, batch_size: 4096, learning_rate: 0.001}
      columns: {price: numeric, shop: categorical, row_number: ignore}

    \b
    Example:
      es-ranking models fit --train a.csv --valid b.csv --test c.csv --label click --model deepfm --output json
    """
    from spark_jobs.models.tabular import fit_files

    figures = fit_files(
        train=train, valid=valid, test=test, label=label, group=group_column, model=model, config=config
    )
    emit(figures, output, title=f"{model} on {test.name}")


@group.command("train")
@click.option("--model", metavar="M", help=f"{', '.join(MODELS)}; without it the file's, else the recipe's.")
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="YAML: model, fields, training, seeds.")
@click.option("--shelf", metavar="K", help="product or banner; without it the file's, else product.")
@click.option("--name", metavar="N", help="Folder of the results; without it the file's, else the model's kind.")
@run_options
@output_option
def train(
    model: str | None, config: Path | None, shelf: str | None, name: str | None, recipe: str, output: str, **chosen: Any
) -> None:
    """Trains MODEL on a run's own tables and judges it by the visits after the clock.

    The run needs its tables of the steps ingest, fit_segments, build_examples and outcomes; none of them is changed.
    Every variant that a model scores is judged, beside A (past sales) and product_rate (each item's own past rate).
    Checkpoints, curves and metrics.json go to experiments/NAME of the run's folder. A YAML file can say more:

    \b
      model: {kind: two_tower, dim: 16, hidden: [64], out: 32}
      fields: {drop: [price]}            # or only: [...], or put: [{name: price, kind: numeric, transform: log}]
      training: {epochs: 3, learning_rate: 0.001}
      seeds: [7, 8, 9]

    \b
    Example:
      es-ranking models train --source complete-journey --run-date 2017-11-27 --model two_tower
      es-ranking models train --source complete-journey --run-date 2017-11-27 --config no-price.yaml --output json
    """
    trial = trial_of(recipe, config, model=model, shelf=shelf, name=name)

    from spark_jobs.experiment import run

    with stderr.status("starting") as status:
        night = night_of("train", recipe, **chosen)
        report = run(night, trial, on_stage=lambda stage: status.update(f"{stage} …"))
    if output == "json":
        emit(report, output)
    else:
        title = f"{trial.name} on the visits after {night.as_of:%Y-%m-%d}: {report['folder']}"
        emit(_rows(report), output, title=title)
    if "reason" in report:
        stderr.print(report["reason"])


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a contestant, as wide as a terminal; the gap to the product rate with its interval."""
    rows = []
    for name, values in report["metrics"].items():
        gap = values["differences"].get("product_rate", {}).get("gauc")
        rows.append(
            {
                "variant": name,
                **{key: values[key] for key in ("gauc", "recall@20", "ndcg@20")},
                "ratio": report["calibration"].get(name, {}).get("ratio"),
                "gauc − product_rate": "{:+.4f} [{:+.4f}, {:+.4f}]".format(*gap) if gap else None,
            }
        )
    return rows
