"""`es-ranking vectors`: content vectors of texts, images or graphs, made as short as a block field."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from cli.models_run import night_of, run_options, tables_of, trial_of
from cli.output import emit, output_option, stderr
from spark_jobs.vectors.registry import COMPRESSORS

KINDS = click.Choice(list(COMPRESSORS))
pool_option = click.option("--pool", type=click.Choice(["mean", "max"]), default="mean", show_default=True,
                           help="What becomes of an item's several vectors.")  # fmt: skip
each_option = click.option("--each", type=click.IntRange(min=0), default=0, show_default=True,
                           help="Numbers in one vector, where several stand end to end; 0: one a row.")  # fmt: skip


@click.group("vectors")
def group() -> None:
    """Compress content vectors, compare the ways of doing it, or make vectors of texts.

    \b
    Example:
      es-ranking vectors compress --from images.parquet --to short.parquet --by autoencoder --width 64
      es-ranking vectors compare --source world
    """


@group.command("embed")
@click.option("--from", "given", required=True, type=click.Path(exists=True, path_type=Path), help="CSV or Parquet.")
@click.option("--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Parquet to write.")
@click.option("--id", "key", default="item_id", show_default=True, help="Column of the items' ids.")
@click.option("--text", "columns", multiple=True, default=("title",), show_default=True, help="Column (repeat).")
@output_option
def embed(given: Path, to: Path, key: str, columns: tuple[str, ...], output: str) -> None:
    """Writes a vector of 384 numbers for every item's texts, by a sentence model that needs no network.

    The model (all-MiniLM-L6-v2) comes with the extra `texts`. Each distinct text is read once.

    \b
    Example:
      es-ranking vectors embed --from items.parquet --text title --text text --to sentences.parquet
    """
    from segments.errors import UsageError
    from spark_jobs.models.tabular import read_table
    from spark_jobs.vectors.files import save_vectors
    from spark_jobs.vectors.sentences import sentence_vectors

    table = read_table(given)
    for name in (key, *columns):
        if name not in table.column_names:
            raise UsageError.unknown("column", name, table.column_names, where=str(given))
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    texts = [" ".join(str(part) for part in parts if part is not None) for parts in rows]
    ids = [str(name) for name in table.column(key).to_pylist()]
    with stderr.status(f"{len(set(texts))} distinct texts …"):
        save_vectors(to, ids, sentence_vectors(texts))
    emit({"items": len(ids), "texts": len(set(texts)), "to": str(to)}, output)


@group.command("compress")
@click.option("--from", "given", required=True, type=click.Path(exists=True, path_type=Path),
              help="Parquet (item_id, vector; an item may have several rows), .npz of the same, or .npy.")  # fmt: skip
@click.option("--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Parquet to write.")
@click.option("--by", type=KINDS, default="pca", show_default=True, help="The compressor.")
@click.option("--width", type=click.IntRange(min=1), default=64, show_default=True, help="Numbers in a code.")
@click.option("--seed", default=20170102, show_default=True, help="Of what is drawn by chance.")
@click.option("--with", "fitted", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A compressor kept before: nothing is learnt, --by and --width are its own.")  # fmt: skip
@click.option("--keep", type=click.Path(dir_okay=False, path_type=Path), help="Where to keep the compressor.")
@pool_option
@each_option
@output_option
def compress(
    given: Path, to: Path, by: str, width: int, seed: int, fitted: Path | None, keep: Path | None, pool: Any,
    each: int, output: str,
) -> None:  # fmt: skip
    """Writes a short vector for every item; those without a finite number get zeros.

    \b
    Example:
      es-ranking vectors compress --from images.parquet --to short.parquet --by autoencoder --keep images.safetensors
      es-ranking vectors compress --from new.parquet --to new-short.parquet --with images.safetensors
    """
    from spark_jobs.vectors.compressor import Compressor, fit
    from spark_jobs.vectors.files import load_vectors, save_vectors
    from spark_jobs.vectors.registry import compressor_settings

    ids, vectors = load_vectors(given, pool=pool, each=each)
    if fitted is not None:
        compressor = Compressor.from_bytes(fitted.read_bytes(), where=str(fitted))
    else:
        with stderr.status(f"fitting {by} …"):
            compressor = fit(compressor_settings({"kind": by, "seed": seed}), vectors, width=width)
    save_vectors(to, ids, compressor.transform(vectors))
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        keep.write_bytes(compressor.to_bytes())
    emit({"items": len(ids), "inputs": compressor.inputs, "width": compressor.width, "by": compressor.settings.kind,
          "to": str(to), "kept": None if keep is None else str(keep)}, output)  # fmt: skip


@group.command("compare")
@click.option("--by", "kinds", type=KINDS, multiple=True,
              help="Compressors (repeat); without it the file's, else all whose library is installed.")  # fmt: skip
@click.option("--width", "widths", type=click.IntRange(min=1), multiple=True,
              help="Numbers in a code (repeat); without it the file's, else 16 and 64.")  # fmt: skip
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("--first-seed", default=1, show_default=True, help="The first of them.")
@click.option("--vectors", "given", type=click.Path(exists=True, path_type=Path),
              help="Of a run's items, as for `compress`; needs --run-date or --as-of.")  # fmt: skip
@click.option("--model", metavar="M", help="Kind of model that reads the codes; without it the recipe's.")
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="YAML: compressors, widths, sizes.")
@pool_option
@each_option
@run_options
@output_option
def compare(
    kinds: tuple[str, ...], widths: tuple[int, ...], seeds: int, first_seed: int, given: Path | None,
    model: str | None, config: Path | None, pool: Any, each: int, recipe: str, run_date: str | None,
    as_of: str | None, warehouse: str, work: str, output: str,
) -> None:  # fmt: skip
    """Compares compressors by what their codes still tell and by the gAUC of a model that reads them.

    Without --vectors: on a generated world (--source world), whose items are known by their vectors alone. With it: on
    a run's examples before its clock, the recipe's fields beside the vector, judged on its validation days as variant
    B0 is. Writes compressions.json and the picture compressions.png to vectors/ below --work.

    \b
    Example:
      es-ranking vectors compare --source world --width 64
      es-ranking vectors compare --source complete-journey --run-date 2017-11-27 --vectors sentences.parquet
    """
    from spark_jobs.compression_settings import CompressionSettings
    from spark_jobs.compressions import compare as side_by_side
    from spark_jobs.grounds import run_ground, world_ground
    from spark_jobs.recipe import load_recipe
    from spark_jobs.vectors.files import load_vectors

    settings = CompressionSettings.read(config) if config else CompressionSettings()
    settings = settings.chosen(kinds, widths)
    trial = trial_of(recipe, None, model=model, shelf=None)
    logging.getLogger("es_ranking.models").setLevel(logging.WARNING)
    with stderr.status("starting") as status:
        if given is None:
            shop = load_recipe(recipe)

            def ground(seed: int) -> Any:
                return world_ground(shop, trial.model, settings, seed=seed)
        else:
            ids, vectors = load_vectors(given, pool=pool, each=each)
            night = night_of("vectors", recipe, run_date=run_date, as_of=as_of, warehouse=warehouse, work=work)
            of_run = run_ground(trial, ids, vectors, rows=settings.rows, **tables_of(night, trial))

            def ground(seed: int) -> Any:
                del seed
                return of_run

        report = side_by_side(
            ground, settings, seeds=range(first_seed, first_seed + seeds), folder=Path(work) / "vectors",
            on_stage=lambda stage: status.update(f"{stage} …"),
        )  # fmt: skip
    title = f"{report['items']} items, {report['inputs']} numbers each, {seeds} seeds: {report['picture']}"
    emit(report if output == "json" else [_line(row) for row in report["rows"]], output, title=title)


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "codes": row["name"],
        "width": row["width"],
        **{name: row[name] for name in ("explained", "own", "neighbours")},
        "gauc": _told(row["gauc"], ""),
        "over none": _told(row["over_none"], "+"),
        "over pca": _told(row["over_pca"], "+"),
        "seconds": None if row["fit_seconds"] is None else round(row["fit_seconds"], 1),
    }


def _told(figure: dict[str, Any] | None, sign: str) -> str | None:
    if figure is None:
        return None
    half = "" if figure["low"] is None else f" ±{(figure['high'] - figure['low']) / 2:.4f}"
    return f"{figure['value']:{sign}.4f}{half}"
