"""Trains any model on a run's own tables and judges it by the visits after the clock, beside the plain yardsticks.

Trained, chosen and refitted as step `train` does, scored over the same grid as step `score`, judged as step `evaluate`
does; but nothing of the night is replaced: everything goes to `experiments/<name>` of the run's folder.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow.dataset as ds
from pyspark.sql import functions as F

from segments.catalogue import Catalogue
from segments.errors import Refused, UsageError
from spark_jobs.evaluation.judge import Contestant
from spark_jobs.experiment_settings import Trial
from spark_jobs.judging import CUT, Judging, rows_by_visit
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import read_examples
from spark_jobs.models.grid import Grid
from spark_jobs.models.item_table import read_items
from spark_jobs.models.run_folder import finite, write_run, write_whole
from spark_jobs.outcome_arrays import Outcomes, read_outcomes
from spark_jobs.past_scores import SCORERS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from spark_jobs.night import Night

BLOCK = 4096
NEEDS = {
    "ingest": ("events", "items", "exposure_counts"),
    "fit_segments": ("user_segments",),
    "build_examples": ("examples", "item_features"),
    "outcomes": ("visits", "list_items", "visit_clicks"),
}


def run(night: Night, trial: Trial, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Trains once a seed, judges, writes `experiments/<name>`; returns what its `metrics.json` holds.

    Args:
        night: the run; its tables of the steps `ingest` to `build_examples`, and of `outcomes`, must be there.
        trial: what to train.
        on_stage: told what begins (progress).

    Raises:
        Refused: a table of the run is missing; the steps to run are named.
        UsageError: a field that the run's tables do not have.
    """
    _check_tables(night)
    _check_fields(night, trial)
    folder = night.folder("experiments") / trial.name
    # Without its metrics an experiment is not finished, whatever else stands there.
    (folder / "metrics.json").unlink(missing_ok=True)
    started = time.perf_counter()
    training = _train(night, trial, folder, on_stage)
    trained = time.perf_counter()
    on_stage("reading the visits after the clock")
    outcomes = read_outcomes(night.warehouse, night.run, as_of=night.as_of, kind=trial.shelf)
    # The recipe's seed, whatever the experiment's: the resamples of two experiments are then the same, and paired.
    judging = Judging(outcomes, seed=night.recipe.shelves[trial.shelf].training.seed)
    if judging.possible:
        _judge(night, trial, judging, folder, on_stage)
    report = {
        "experiment": trial.name,
        "run": night.run,
        "shelf": trial.shelf,
        "model": trial.model.kind,
        "fields": [field.name for field in trial.schema.fields],
        "cut": CUT,
        **judging.report(),
        "seeds": [_of_seed(judging, place, seed, training[seed]) for place, seed in enumerate(trial.seeds)],
        "seconds": {"train": round(trained - started, 2), "judge": round(time.perf_counter() - trained, 2)},
        "folder": str(folder),
    }
    write_whole(folder / "metrics.json", json.dumps(finite(report), indent=1))
    return cast("dict[str, Any]", finite(report))


def _check_tables(night: Night) -> None:
    missing = {
        step: [table for table in tables if night.warehouse.manifest(table, night.run) is None]
        for step, tables in NEEDS.items()
    }
    if not _catalogue(night).is_file():
        missing["fit_segments"].append("the catalogue of segments")
    steps = [step for step in missing if missing[step]]
    if steps:
        raise Refused(
            f"run {night.run} lacks {', '.join(name for step in steps for name in missing[step])}",
            where=night.root,
            hint="run the steps that write them: es-ranking nightly run "
            + " ".join(f"--step {step}" for step in steps)
            + " with this --source, --run-date, --warehouse and --work",
        )


def _catalogue(night: Night) -> Path:
    return night.work / night.run / "segments" / "catalogue.json"


def _check_fields(night: Night, trial: Trial) -> None:
    """A field without a column would be read as neutral, and the experiment would not be what its file says."""
    columns = {
        table: set(ds.dataset(night.warehouse.folder(table, night.run).removeprefix("file:")).schema.names)
        for table in ("examples", "item_features")
    }
    for field in trial.schema.fields:
        tables = ["examples"] if field.kind != "vector" else []
        tables += ["item_features"] if field.role == "item" else []
        for table in tables:
            if field.name not in columns[table]:
                raise UsageError.unknown("field", field.name, columns[table], where=f"table {table}")


def _train(night: Night, trial: Trial, folder: Path, on_stage: Callable[[str], None]) -> dict[int, dict[str, float]]:
    """A checkpoint in `seed-<n>` for each seed; returns each training's figures."""
    on_stage("reading the examples")
    tables, kind = night.warehouse, trial.shelf
    vectors = [field.name for field in trial.schema.of_kind("vector")]
    items = read_items(tables.folder("item_features", night.run), vectors, item_kind=kind) if vectors else None
    folder_of_examples = tables.folder("examples", night.run)
    examples = read_examples(folder_of_examples, Encoder(trial.schema), item_kind=kind, vectors=items)
    examples = examples.where(examples.time < int(night.as_of.timestamp() * 1_000_000))
    valid_from = int((night.as_of - timedelta(days=night.recipe.validation_days)).timestamp() * 1_000_000)
    night.log.info("%s: %d examples, %d clicks", trial.name, len(examples), int(examples.label.sum()))
    figures: dict[int, dict[str, float]] = {}
    for seed in trial.seeds:
        on_stage(f"training {trial.model.kind}, seed {seed}")
        training = trial.training.model_copy(update={"seed": seed})
        done = develop(trial.model, trial.schema, examples=examples, valid_from=valid_from, training=training)
        save(done.checkpoint, folder / f"seed-{seed}")
        blocks = {"model": trial.model, "training": training, "fields": trial.schema}
        write_run(folder / f"seed-{seed}", settings=blocks, metrics=done.metrics, curve=done.curve)
        figures[seed] = done.metrics
    for old in folder.glob("seed-*"):
        if old.name not in {f"seed-{seed}" for seed in trial.seeds}:
            shutil.rmtree(old)
    write_whole(folder / "experiment.yaml", trial.experiment().to_yaml())
    return figures


def _judge(night: Night, trial: Trial, judging: Judging, folder: Path, on_stage: Callable[[str], None]) -> None:
    outcomes, catalogue = judging.outcomes, Catalogue.load(_catalogue(night))
    candidates = night.warehouse.read("item_features", night.run).where(F.col("item_kind") == trial.shelf)
    for variant, recipe in night.recipe.variants.items():
        if recipe.scorer == "sales":
            on_stage(f"judging {variant}")
            scored = SCORERS["sales"](
                night.warehouse, night.run, as_of=night.as_of, kind=trial.shelf, items=candidates
            ).toArrow()
            grid = _placed(outcomes, scored.column("item_id"), scored.column("pctr").to_numpy()[None, :])
            everyone = np.zeros(outcomes.visits.list_of.size, dtype=np.int64)
            judging.hear(variant, Contestant(grid, everyone))
    names = [field.name for field in trial.schema.of_role("item")]
    items = read_items(night.warehouse.folder("item_features", night.run), names, item_kind=trial.shelf)
    served = [name for name, variant in night.recipe.variants.items() if variant.scorer == "model"]
    segments = {segment.id: dict(segment.values) for name in served for segment in catalogue.segments_of(name)}
    for seed in trial.seeds:
        on_stage(f"scoring {items.num_rows} items for {len(segments)} segments, seed {seed}")
        checkpoint = load(folder / f"seed-{seed}", schema=trial.schema)
        grid = _placed(outcomes, items.column("item_id"), grid_of(checkpoint, items, list(segments.values())))
        for variant in served:
            on_stage(f"judging {variant}, seed {seed}")
            rows = rows_by_visit(outcomes, catalogue, variant=variant, segments=list(segments))
            judging.hear(variant, Contestant(grid, rows), calibration=True)
    on_stage("judging product_rate")
    judging.hear_product_rate()


def grid_of(checkpoint: Checkpoint, items: pa.Table, segments: list[dict[str, str]]) -> NDArray[np.float64]:
    """(segments, items) calibrated probabilities, scored block by block: memory grows with the result alone."""
    grid = Grid(checkpoint)
    viewers = grid.segments(segments)
    found = np.empty((len(segments), items.num_rows))
    for start in range(0, items.num_rows, BLOCK):
        block = items.slice(start, BLOCK).combine_chunks()
        found[:, start : start + block.num_rows] = grid.score(block, viewers).T
    return found


def _placed(outcomes: Outcomes, item_ids: pa.ChunkedArray, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of some items (segments, n) as scores of the outcomes' items, -inf where there is none."""
    grid = np.full((len(scores), outcomes.items.size), -np.inf)
    grid[:, np.searchsorted(outcomes.items, np.array(item_ids.to_pylist(), dtype=str))] = scores
    return grid


def _of_seed(judging: Judging, place: int, seed: int, training: dict[str, float]) -> dict[str, Any]:
    return {
        "seed": seed,
        "training": training,
        "metrics": {name: judging.verdicts[name][place].values for name in judging.calibrations},
        "calibration": {name: heard[place]["ratio"] for name, heard in judging.calibrations.items()},
    }
