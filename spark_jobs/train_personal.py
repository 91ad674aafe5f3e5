"""Step `train_personal`, by its own command: a network that also reads each person's own past.

Fields are the product shelf's and `own_…` of the levels `features.personal_levels`. Trained, chosen and refitted as
`train` does. If `outcomes` has been run, it is judged on the visits after the clock: all clicks and 40 unclicked items
of each visit, positions neutral, and everything about items and people frozen at the clock.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from spark_jobs.evaluation.auc import auc, gauc
from spark_jobs.features.columns import level_column
from spark_jobs.fields import FieldSchema
from spark_jobs.history import clock
from spark_jobs.models.checkpoint import Checkpoint, save
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.grid import encode
from spark_jobs.models.item_table import read_items
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.own_history import OwnHistory, own_fields
from spark_jobs.models.reading import read_before
from spark_jobs.models.run_folder import finite, write_run
from spark_jobs.outcome_arrays import Outcomes, read_outcomes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spark_jobs.night import Night

KIND = "product"
UNCLICKED = 40
DAY_US = 86_400_000_000


def run(night: Night) -> dict[str, object]:
    """Trains the personal model; returns its figures, with `after` where the outcomes are known."""
    import torch

    shelf, levels = night.recipe.shelves[KIND], night.recipe.features.personal_levels
    schema = FieldSchema(fields=(*shelf.fields.fields, *own_fields(levels)))
    past = _past(night, levels)
    names = [field.name for field in shelf.fields.of_role("item")]
    features = read_items(night.warehouse.folder("item_features", night.run), names, item_kind=KIND)
    folder = night.folder("models") / "personal"
    unfinished, encoder = folder / "unfinished", Encoder(schema)
    examples = read_before(
        night.warehouse.folder("examples", night.run),
        encoder,
        before=night.clock,
        settings=shelf.training,
        scratch=unfinished / "shards",
        item_kind=KIND,
        vectors=features,
        tasks=tasks_of(shelf.model),
        added=past.added,
    )
    done = develop(
        shelf.model, schema, examples=examples, valid_from=night.valid_from, training=shelf.training,
        unfinished=unfinished, values=encoder.values(),
    )  # fmt: skip
    save(done.checkpoint, folder)
    shutil.rmtree(unfinished, ignore_errors=True)
    figures: dict[str, object] = dict(done.metrics)
    if night.warehouse.manifest("visits", night.run) is not None:
        with torch.inference_mode():
            outcomes = read_outcomes(night.warehouse, night.run, as_of=night.as_of, kind=KIND)
            figures["after"] = _judge(outcomes, done.checkpoint, past, features, night.clock)
    write_run(
        folder,
        settings={"model": shelf.model, "training": shelf.training, "fields": schema},
        metrics=figures,
        curve=done.curve,
    )
    return json.loads(json.dumps(finite(figures)))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Past:
    """Purchases before the clock, by ids."""

    users: pa.Array
    items: pa.Array
    history: OwnHistory

    def added(self, table: pa.Table) -> pa.Table:
        """Rows of `examples` with what each visit's user had bought before its day."""
        at = np.asarray(table.column("request_at").cast(pa.timestamp("us")).cast(pa.int64()).to_numpy())
        for name, values in self.before(table.column("user_id"), table.column("item_id"), at // DAY_US).items():
            table = table.append_column(name, pa.array(values))
        return table

    def before(
        self, user: pa.ChunkedArray, item: pa.ChunkedArray, day: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        return self.history.before(_places(user, self.users), _places(item, self.items), day)


def _past(night: Night, levels: tuple[str, ...]) -> _Past:
    tables, settings = night.warehouse, night.recipe.features
    items = tables.read("items", night.run).where(F.col("kind") == KIND)
    known = items.select("item_id", *(level_column(level, settings).alias(f"level_{level}") for level in levels))
    catalogue = known.orderBy("item_id").toArrow()
    bought = (
        tables.read("events", night.run)
        .where((F.col("item_kind") == KIND) & (F.col("kind") == "purchase") & (F.col("ts") < clock(night.as_of)))
        .join(F.broadcast(items.select("item_id")), "item_id", "left_semi")
        .select("user_id", "item_id", F.floor(F.unix_seconds("ts") / 86_400).alias("day"))
        .toArrow()
    )
    users = pc.unique(bought.column("user_id")).sort()
    names = catalogue.column("item_id").combine_chunks()
    values = {level: _codes(catalogue.column(f"level_{level}")) for level in levels}
    history = OwnHistory(
        user=_places(bought.column("user_id"), users),
        item=_places(bought.column("item_id"), names),
        day=np.asarray(bought.column("day").to_numpy(), dtype=np.int64),
        levels=values,
    )
    # One more item without any level, for ids the catalogue lacks: place −1.
    history.levels = {level: np.append(value, -1) for level, value in values.items()}
    return _Past(users, names, history)


def _judge(outcomes: Outcomes, checkpoint: Checkpoint, past: _Past, features: pa.Table, now: int) -> dict[str, float]:
    visits = outcomes.visits
    random = np.random.default_rng(1)
    visit = np.repeat(np.arange(visits.list_of.size), UNCLICKED)
    start, size = visits.list_start[visits.list_of][visit], visits.size[visit]
    drawn = start + (random.random(visit.size) * size).astype(np.int64)
    clicked = visits.list_start[visits.list_of[visits.click_visit]] + visits.click_at
    width = int(visits.list_items.size) + 1
    clicks = np.unique(visits.click_visit * width + clicked)
    others = np.setdiff1d(np.unique((visit * width + drawn)[size > 0]), clicks)
    rows = np.concatenate([clicks, others])
    label = np.repeat([1.0, 0.0], [clicks.size, others.size])
    visit, item = rows // width, visits.list_items[rows % width]
    person = outcomes.visit_user[visit]
    ids = pa.array(outcomes.items[item].astype(str))
    users = pa.array(np.array(outcomes.users, dtype=object)[person].astype(str))
    place = pc.index_in(ids, value_set=features.column("item_id").combine_chunks())
    table = features.drop_columns(["item_id"]).take(place)
    for field in checkpoint.schema.of_role("segment"):
        own = np.array([outcomes.segments_of.get(user, {}).get(field.name) for user in outcomes.users], dtype=object)
        table = table.append_column(field.name, pa.array(own[person], pa.string()))
    day = np.full(rows.size, now // DAY_US, dtype=np.int64)
    for name, values in past.before(pa.chunked_array([users]), pa.chunked_array([ids]), day).items():
        table = table.append_column(name, pa.array(values))
    parts = []
    for begin in range(0, table.num_rows, 65_536):
        batch = encode(checkpoint.encoder, table.slice(begin, 65_536))
        parts.append(checkpoint.model(batch).double().numpy())
    logits = np.concatenate(parts) if parts else np.zeros(0)
    return {
        "gauc": gauc(label, logits, visit),
        "auc": auc(label, logits),
        "visits": float(visits.list_of.size),
        "clicks": float(clicks.size),
    }


def _places(column: pa.ChunkedArray, known: pa.Array) -> NDArray[np.int64]:
    """Place of each value among the known ones, −1 if it is none of them."""
    plain = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    parts = []
    for chunk in plain.chunks:
        found = pc.index_in(chunk.dictionary.cast(pa.string()), value_set=known).fill_null(-1)
        parts.append(np.asarray(found, dtype=np.int64)[np.asarray(chunk.indices, dtype=np.int64)])
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    encoded = pc.dictionary_encode(column).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    return np.asarray(encoded.indices.fill_null(-1), dtype=np.int64)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("train_personal", run)


if __name__ == "__main__":
    main()
