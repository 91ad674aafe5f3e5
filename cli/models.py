"""`es-ranking models`: fit a ranking model on any labelled data."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import emit, output_option


@click.group("models")
def group() -> None:
    """Fit ranking models on labelled data.

    \b
    Example:
      es-ranking models fit --train train.csv --valid valid.csv --test test.csv --label click --model deepfm
    """


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
@click.option("--model", default="deepfm", show_default=True, help="deepfm, two_tower or logistic.")
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
