"""Step `embed`: item vectors for the personal re-sort, of every shelf whose recipe asks for them by `personal:`.

Two towers are trained on the shelf's own examples, with the user's id beside the segments on the viewer's side, and
their item vectors are turned into a space where the mean of somebody's clicks is a taste (models/taste_vectors.py).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from es_ranking.tastes.vectors import pack
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.checkpoint import save
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.item_table import read_items, read_vectors
from spark_jobs.models.reading import read_before
from spark_jobs.models.run_folder import write_run
from spark_jobs.models.taste_vectors import taste_vectors
from spark_jobs.models.tower_vectors import export
from spark_jobs.taste_rows import clicks_of, served_segments

if TYPE_CHECKING:
    from spark_jobs.models.checkpoint import Checkpoint
    from spark_jobs.models.personal_settings import PersonalSettings
    from spark_jobs.night import Night
    from spark_jobs.recipe import ShelfRecipe


def run(night: Night) -> dict[str, object]:
    """Writes `taste_vectors`; returns figures by item kind. Nothing to do where no shelf is personal.

    Raises:
        Refused: a shelf has no examples before the clock, or nobody clicked twice.
    """
    parts, figures = [], {}
    for kind, shelf in night.recipe.shelves.items():
        if shelf.personal is None:
            continue
        checkpoint, told = _train(night, kind, shelf, shelf.personal)
        names = [field.name for field in shelf.fields.of_role("item")]
        items = read_items(night.warehouse.folder("item_features", night.run), names, item_kind=kind)
        vectors = export(checkpoint, items, []).item
        ids = items.column("item_id").combine_chunks()
        clicks = clicks_of(night, ids, kind)
        _, segment = np.unique(served_segments(night, clicks.users), return_inverse=True)
        mine = np.asarray(segment, dtype=np.int64)[clicks.user]
        packed = [pack(v) for v in taste_vectors(vectors, item=clicks.item, user=clicks.user, segment=mine)]
        parts.append(
            pa.table({"item_kind": [kind] * len(ids), "item_id": ids, "packed": pa.array(packed, pa.binary())})
        )
        figures[kind] = {**told, "items": len(ids), "clicks": int(clicks.item.size), "width": vectors.shape[1]}
    if not parts:
        return {"rows_out": 0}
    frame = night.spark.createDataFrame(pa.concat_tables(parts))
    return {"rows_out": night.warehouse.write(frame, "taste_vectors", night.run).rows, **figures}


def _train(
    night: Night, kind: str, shelf: ShelfRecipe, personal: PersonalSettings
) -> tuple[Checkpoint, dict[str, float]]:
    own = (
        Field(name="user_id", role="user", buckets=personal.user_buckets) if personal.user_buckets else None,
        Field(name="item_id", role="item", buckets=personal.item_buckets) if personal.item_buckets else None,
    )
    schema = FieldSchema(fields=(*shelf.fields.fields, *(field for field in own if field)))
    items = read_vectors(night.warehouse.folder("item_features", night.run), schema, item_kind=kind)
    folder = night.folder("models") / f"{kind}-vectors"
    unfinished = folder / "unfinished"
    examples = read_before(
        night.warehouse.folder("examples", night.run), Encoder(schema), before=night.clock, settings=personal.training,
        scratch=unfinished / "shards", item_kind=kind, vectors=items,
    )  # fmt: skip
    done = develop(personal.model, schema, examples=examples, valid_from=night.valid_from, training=personal.training,
                   unfinished=unfinished)  # fmt: skip
    save(done.checkpoint, folder)
    shutil.rmtree(unfinished, ignore_errors=True)
    settings = {"model": personal.model, "training": personal.training, "fields": schema}
    write_run(folder, settings=settings, metrics=done.metrics, curve=done.curve)
    return done.checkpoint, done.metrics


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("embed", run)


if __name__ == "__main__":
    main()
