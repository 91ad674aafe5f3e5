"""Trains any model on a run's own tables and judges it by the visits after the clock, beside the plain yardsticks.

Trained, chosen and refitted as step `train` does, scored over the same grid as step `score`, judged as step `evaluate`
does; but nothing of the night is replaced: everything goes to `experiments/<name>` of the run's folder.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from segments.whole import write_whole
from spark_jobs.arena import Arena, placed
from spark_jobs.evaluation.judge import Contestant
from spark_jobs.experiment_settings import Trial
from spark_jobs.judging import CUT, Judging, rows_by_visit
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.grid import Grid
from spark_jobs.models.item_table import read_items, read_vectors
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.reading import read_before
from spark_jobs.models.run_folder import finite, write_run

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from spark_jobs.night import Night

BLOCK = 4096
_log = logging.getLogger("es_ranking.experiment")


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
    on_stage("reading the visits after the clock")
    arena = Arena.of(night, trial.shelf, schemas=[trial.schema])
    return attempt(arena, trial, night.folder("experiments") / trial.name, on_stage=on_stage)


def attempt(
    arena: Arena, trial: Trial, folder: Path, *, on_stage: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """The same where the run has been read, into any folder; needs no Spark."""
    # Without its metrics an experiment is not finished, whatever else stands there.
    (folder / "metrics.json").unlink(missing_ok=True)
    started = time.perf_counter()
    training = _train(arena, trial, folder, on_stage)
    trained = time.perf_counter()
    judging = Judging(arena.outcomes, seed=arena.seed)
    if judging.possible:
        _judge(arena, trial, judging, folder, on_stage)
    report = {
        "experiment": trial.name,
        "run": arena.run,
        "shelf": trial.shelf,
        "model": trial.model.kind,
        "fields": [field.name for field in trial.schema.fields],
        "cut": CUT,
        "default_variant": arena.default_variant,
        **judging.report(),
        "seeds": [_of_seed(judging, place, seed, training[seed]) for place, seed in enumerate(trial.seeds)],
        "seconds": {"train": round(trained - started, 2), "judge": round(time.perf_counter() - trained, 2)},
        "folder": str(folder),
    }
    write_whole(folder / "metrics.json", json.dumps(finite(report), indent=1))
    return cast("dict[str, Any]", finite(report))


def _train(arena: Arena, trial: Trial, folder: Path, on_stage: Callable[[str], None]) -> dict[int, dict[str, float]]:
    """A checkpoint in `seed-<n>` for each seed; returns each training's figures."""
    on_stage("reading the examples")
    kind = trial.shelf
    encoder, unfinished = Encoder(trial.schema), folder / "unfinished"
    examples = read_before(
        arena.examples,
        encoder,
        before=arena.clock,
        settings=trial.training,
        scratch=unfinished / "shards",
        item_kind=kind,
        vectors=read_vectors(arena.item_features, trial.schema, item_kind=kind),
        tasks=tasks_of(trial.model),
    )
    _log.info("%s: %d examples", trial.name, len(examples))
    figures: dict[int, dict[str, float]] = {}
    for seed in trial.seeds:
        on_stage(f"training {trial.model.kind}, seed {seed}")
        training = trial.training.model_copy(update={"seed": seed})
        done = develop(trial.model, trial.schema, examples=examples, valid_from=arena.valid_from, training=training,
                       unfinished=unfinished / f"seed-{seed}", values=encoder.values())  # fmt: skip
        save(done.checkpoint, folder / f"seed-{seed}")
        blocks = {"model": trial.model, "training": training, "fields": trial.schema}
        figured = {**done.metrics, "segments": done.segments}
        write_run(folder / f"seed-{seed}", settings=blocks, metrics=figured, curve=done.curve)
        figures[seed] = done.metrics
    for old in folder.glob("seed-*"):
        if old.name not in {f"seed-{seed}" for seed in trial.seeds}:
            shutil.rmtree(old)
    write_whole(folder / "experiment.yaml", trial.experiment().to_yaml())
    # Only now: of a killed experiment with several seeds the finished ones are gone on with from their last step.
    shutil.rmtree(unfinished, ignore_errors=True)
    return figures


def _judge(arena: Arena, trial: Trial, judging: Judging, folder: Path, on_stage: Callable[[str], None]) -> None:
    outcomes, catalogue = arena.outcomes, arena.catalogue
    everyone = np.zeros(outcomes.visits.list_of.size, dtype=np.int64)
    for variant, grid in arena.sales.items():
        on_stage(f"judging {variant}")
        judging.hear(variant, Contestant(grid, everyone))
    names = [field.name for field in trial.schema.of_role("item")]
    items = read_items(arena.item_features, names, item_kind=trial.shelf)
    segments = {segment.id: dict(segment.values) for name in arena.served for segment in catalogue.segments_of(name)}
    for seed in trial.seeds:
        on_stage(f"scoring {items.num_rows} items for {len(segments)} segments, seed {seed}")
        checkpoint = load(folder / f"seed-{seed}", schema=trial.schema)
        scores = grid_of(checkpoint, items, list(segments.values()))
        grid = placed(outcomes, items.column("item_id").to_pylist(), scores)
        for variant in arena.served:
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


def _of_seed(judging: Judging, place: int, seed: int, training: dict[str, float]) -> dict[str, Any]:
    return {
        "seed": seed,
        "training": training,
        "metrics": {name: judging.verdicts[name][place].values for name in judging.calibrations},
        "calibration": {name: heard[place]["ratio"] for name, heard in judging.calibrations.items()},
    }
