"""Where codes of content vectors are judged by a model that reads them: a generated world, or a run's own examples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from segments.errors import Refused
from spark_jobs.evaluation.auc import gauc
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, read_table
from spark_jobs.models.item_table import read_vectors
from spark_jobs.models.training import refit, score_examples
from spark_jobs.replayed_days import SCHEMA, Days
from spark_jobs.units import unit_of
from spark_jobs.vectors.files import lists

if TYPE_CHECKING:
    from spark_jobs.compression_settings import CompressionSettings
    from spark_jobs.experiment_settings import Trial
    from spark_jobs.models.settings import ModelSettings
    from spark_jobs.models.training_settings import TrainingSettings
    from spark_jobs.recipe import Recipe
    from spark_jobs.vectors.method import Floats

VECTOR = "item_vector"


@dataclass(frozen=True)
class Ground:
    """Examples whose items have vectors.

    Attributes:
        train, valid: line k + 1 of their `vectors` is item k's; line 0 is "none".
        schema: the fields beside the vector.
        model, training: what learns from them.
        beside: named codes (items, width) that are there already, judged as they are.
    """

    train: Examples
    valid: Examples
    schema: FieldSchema
    model: ModelSettings
    training: TrainingSettings
    beside: dict[str, Floats] = field(default_factory=dict)

    @property
    def vectors(self) -> Floats:
        """One a line, (items, d)."""
        return self.train.vectors[1:]

    def gauc(self, codes: Floats | None, *, seed: int, epochs: int) -> float:
        """gAUC on the later visits of a model trained on the earlier ones with these codes (items, width) as a block.

        Without codes: of the other fields alone. Context fields are neutral when it is judged.
        """
        width = 0 if codes is None else codes.shape[1]
        lines = np.zeros((len(self.train.vectors), width), dtype=np.float32)
        fields = self.schema.fields
        if codes is not None:
            lines[1:] = np.nan_to_num(codes)
            fields = (*fields, Field(name=VECTOR, kind="vector", width=width))
        training = self.training.model_copy(update={"seed": seed, "threads": 1})
        fitted = refit(self.model, Encoder(FieldSchema(fields=fields)), train=replace(self.train, vectors=lines),
                       epochs=epochs, settings=training)  # fmt: skip
        valid = replace(self.valid, vectors=lines)
        return gauc(valid.label, score_examples(fitted, valid), valid.group)


def world_ground(recipe: Recipe, model: ModelSettings, settings: CompressionSettings, *, seed: int) -> Ground:
    """A world whose people are known and whose items are known by their vectors alone, as new items are."""
    known = FieldSchema(fields=(*SCHEMA.of_role("segment"), *SCHEMA.of_role("context")))
    block = Field(name=VECTOR, kind="vector", width=settings.world_width)
    days = Days(settings.world(recipe, seed=seed), schema=FieldSchema(fields=(*known.fields, block)))
    last = max(1, settings.world_days * 3 // 4)
    train, valid = days.between(0, last), days.between(last, settings.world_days)
    return Ground(train, valid, known, model, recipe.shelves["product"].training)


def run_ground(
    trial: Trial, ids: list[str], vectors: Floats, *, rows: int, examples: str, item_features: str, clock: int,
    valid_from: int,
) -> Ground:  # fmt: skip
    """A run's examples before the clock, judged after `valid_from`: the trial's fields without segments, as variant B0.

    Only candidates have vectors, as in the run itself. The vectors that the trial's own fields name stand beside.

    Raises:
        Refused: no candidate of the run has a vector, or there is nothing to learn from or to judge by.
    """
    own = read_vectors(item_features, trial.schema, item_kind=trial.shelf)
    place = {name: n for n, name in enumerate(ids)}
    if own is None:
        chosen = list(range(len(ids)))
    else:
        own = own.filter(pa.array([name in place for name in own["item_id"].to_pylist()], pa.bool_()))
        chosen = [place[name] for name in own["item_id"].to_pylist()]
    if not chosen:
        raise Refused("no candidate of the run has a vector", hint="item_id must be that of the run's items")
    known = FieldSchema(fields=tuple(f for f in trial.schema.fields if f.kind != "vector" and f.role != "segment"))
    block = Field(name=VECTOR, kind="vector", width=vectors.shape[1])
    whole = FieldSchema(fields=(*known.fields, block))
    table = read_table(examples, Encoder(whole), item_kind=trial.shelf)
    named = pa.table({"item_id": pa.array([ids[n] for n in chosen], pa.string()), VECTOR: lists(vectors[chosen])})
    unit = unit_of(table, whole, vectors=named, clock=clock, valid_from=valid_from)
    share = rows / max(1, len(unit.train) + len(unit.valid))
    train, valid = (_visits(part, share) for part in (unit.train, unit.valid))
    for part in (train, valid):
        if not part.label.any() or part.label.all():
            raise Refused("no clicks to learn from or to judge by", where=examples, hint="more rows, or a later clock")
    fields = trial.schema.of_kind("vector") if own is not None else ()
    beside = {f.name: Encoder(FieldSchema(fields=(f,))).vectors_of(own) for f in fields}
    return Ground(train, valid, known, trial.model, trial.training, beside)


def _visits(examples: Examples, share: float) -> Examples:
    """A share of the visits, each whole, by their hash."""
    if share >= 1.0:
        return examples
    return examples.where(examples.group.view(np.uint64) < np.uint64(share * 2**64))
