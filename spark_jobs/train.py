"""Step `train`: one network a shelf, from the `examples` table to a checkpoint in the run's `models` folder.

Trains on visits before `as_of − validation_days`, chooses the epoch and calibrates on the days after it, then refits on
everything before `as_of`. Nothing at or after the clock is read. With `training.checkpoint_every` a run that was killed
is gone on with by running the step again.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from spark_jobs.models.checkpoint import save
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.item_table import read_vectors
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.reading import read_before
from spark_jobs.models.run_folder import finite, write_run
from spark_jobs.models.scoring_settings import CHEAP

if TYPE_CHECKING:
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Trains every shelf, and what its cascade begins with if it has one; returns figures by item kind.

    Raises:
        Refused: a shelf has no examples before the clock, or all have the same label.
    """
    figures: dict[str, object] = {}
    for kind, shelf in night.recipe.shelves.items():
        encoder = Encoder(shelf.fields)
        items = night.warehouse.folder("item_features", night.run)
        folder = night.folder("models") / kind
        unfinished = folder / "unfinished"
        examples = read_before(
            night.warehouse.folder("examples", night.run),
            encoder,
            before=night.clock,
            settings=shelf.training,
            scratch=unfinished / "shards",
            item_kind=kind,
            vectors=read_vectors(items, shelf.fields, item_kind=kind),
            tasks=tasks_of(shelf.model),
        )
        night.log.info("train %s: %d examples", kind, len(examples))
        cascade = shelf.scoring.cascade
        models = {folder: shelf.model} | ({folder / CHEAP: cascade.model} if cascade else {})
        told: dict[str, object] = {}
        for place, model in models.items():
            done = develop(
                model, shelf.fields, examples=examples, valid_from=night.valid_from, training=shelf.training,
                unfinished=place / "unfinished", values=encoder.values(),
            )  # fmt: skip
            save(done.checkpoint, place)
            write_run(
                place,
                settings={"model": model, "training": shelf.training, "fields": shelf.fields},
                metrics={**done.metrics, "segments": done.segments},
                curve=done.curve,
            )
            own = {**done.metrics, "curve": done.curve}
            told |= own if place == folder else {CHEAP: own}
        for place in models:
            shutil.rmtree(place / "unfinished", ignore_errors=True)
        figures[kind] = finite(told)
    return figures


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("train", run)


if __name__ == "__main__":
    main()
