"""Hourly step 3: each shelf's model goes on from the last hours under the guard; what serves lies in this run's folder.

Sooner than `continual.every_minutes` after the last update the checkpoint is taken over as it is, so that runs every
few minutes may publish what came and went without learning the same visits again and again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from spark_jobs.history import clock
from spark_jobs.hour_base import HourBase, checkpoint_before
from spark_jobs.models.checkpoint import load
from spark_jobs.models.continual import Update, keep, update
from spark_jobs.models.examples import read_examples
from spark_jobs.models.item_table import read_vectors
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.run_folder import finite

if TYPE_CHECKING:
    from spark_jobs.models.checkpoint import Checkpoint
    from spark_jobs.night import Night

ATTEMPTED = "last_update"


def run(night: Night) -> dict[str, object]:
    """Writes `models` of the run; returns each shelf's figures.

    Raises:
        Refused: no checkpoint to go on from.
        ContractBroken: the checkpoint is of another schema than the recipe's.
    """
    base = HourBase.read(night.work, night.run)
    figures: dict[str, object] = {}
    for kind in night.recipe.shelves:
        before = checkpoint_before(night.work, night.run, base.night, kind)
        checkpoint = load(before, schema=night.recipe.shelves[kind].fields, training=True)
        done = _updated(night, base, kind, checkpoint)
        keep(done, night.folder("models") / kind)
        figures[kind] = finite({"from": str(before), **done.figures})
    return figures


def _updated(night: Night, base: HourBase, kind: str, checkpoint: Checkpoint) -> Update:
    now = night.clock
    settings, shelf = night.recipe.continual, night.recipe.shelves[kind]
    last = checkpoint.notes.get(ATTEMPTED)
    minutes = None if last is None else (now - int(last)) / 60_000_000
    if minutes is not None and minutes < settings.every_minutes:
        told = f"the last update was {minutes:.0f} minutes before"
        return Update(checkpoint, None, {"accepted": False, "rows": 0, "reason": told})
    begun = replace(checkpoint, notes={**checkpoint.notes, ATTEMPTED: now})
    encoder = checkpoint.encoder.copy()
    items = night.warehouse.folder("item_features", night.run)
    examples = read_examples(
        night.warehouse.folder("examples", night.run),
        encoder,
        item_kind=kind,
        vectors=read_vectors(items, encoder.schema, item_kind=kind),
        tasks=tasks_of(shelf.model),
    )
    return update(begun, examples, settings, training=shelf.training, clock=now,
                  usual_per_hour=_usual(night, base, kind))  # fmt: skip


def _usual(night: Night, base: HourBase, kind: str) -> float:
    """Kept impressions an hour over the week before the night, by 1 / sampling rate."""
    hours = 7 * 24.0
    events = night.warehouse.read("events", base.night).where(F.col("item_kind") == kind)
    shown = events.where((F.col("kind") == "impression") & (F.col("ts") >= clock(night.as_of - timedelta(hours=hours))))
    row = shown.agg(F.sum(1.0 / F.col("sampling_rate")).alias("n"), F.min("ts").cast("double").alias("low"),
                    F.max("ts").cast("double").alias("high")).first()  # fmt: skip
    if row is None or not row["n"]:
        return 0.0
    return float(row["n"]) / max(1.0, (float(row["high"]) - float(row["low"])) / 3600.0)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("update_models", run)


if __name__ == "__main__":
    main()
