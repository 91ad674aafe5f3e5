"""An experiment: which model, fields, training and seeds to try on a run's own tables. One YAML file is one experiment.

What it does not say is the recipe's: an empty file trains the shelf's own model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field as Setting
from pydantic import field_validator

from segments.config import Settings
from segments.errors import UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.registry import model_settings
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.recipe import Recipe

FOLDER = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class FieldChanges(Settings):
    """How the fields differ from the shelf's."""

    only: tuple[str, ...] | None = Setting(default=None, description="keep these, in this order; not given: keep all")
    drop: tuple[str, ...] = Setting(default=(), description="leave these out")
    put: tuple[Field, ...] = Setting(default=(), description="replaces the field of that name, or adds it")

    def applied(self, schema: FieldSchema) -> FieldSchema:
        """The changed schema: `put` first, then `only`, then `drop`.

        Raises:
            UsageError: a name that is no field, or no field is left.
        """
        fields = {field.name: field for field in (*schema.fields, *self.put)}
        for name in (*(self.only or ()), *self.drop):
            if name not in fields:
                raise UsageError.unknown("field", name, fields)
        kept = fields if self.only is None else self.only
        left = tuple(fields[name] for name in kept if name not in self.drop)
        if not left:
            raise UsageError("no field is left to learn from", where="fields")
        return FieldSchema.of({"fields": left}, where="fields")


class Experiment(Settings):
    """What one YAML file says."""

    name: str | None = Setting(default=None, description="folder of the results; not given: the model's kind")
    shelf: Literal["product", "banner"] = "product"
    model: dict[str, Any] = Setting(
        default={}, description="kind and settings; those of the recipe's model where the kind is the same"
    )
    fields: FieldChanges = FieldChanges()
    training: dict[str, Any] = Setting(default={}, description="settings that differ from the shelf's")
    seeds: tuple[int, ...] = Setting(default=(), description="one training each; not given: the training's own seed")

    @field_validator("seeds")
    @classmethod
    def _once_each(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a seed is given twice")
        return value


@dataclass(frozen=True)
class Trial:
    """An experiment on a recipe's shelf, everything settled."""

    name: str
    shelf: str
    model: ModelSettings
    schema: FieldSchema
    training: TrainingSettings
    seeds: tuple[int, ...]

    @classmethod
    def of(
        cls, experiment: Experiment, recipe: Recipe, *, model: str | None = None, shelf: str | None = None,
        name: str | None = None,
    ) -> Self:  # fmt: skip
        """Settles an experiment.

        Args:
            experiment: what the file says.
            recipe: whose shelf supplies what the file does not say.
            model: kind of the model, where it is named beside the file.
            shelf: in place of the file's.
            name: in place of the file's.

        Raises:
            UsageError: a model, shelf, field or setting that does not exist, two kinds of model, or a name that cannot
                be a folder.
        """
        kind = shelf or experiment.shelf
        if kind not in recipe.shelves:
            raise UsageError.unknown("shelf", kind, recipe.shelves)
        own = recipe.shelves[kind]
        said = experiment.model.get("kind")
        if model and said and model != said:
            raise UsageError(f"two models: {model} is asked for, the experiment's file says {said}", where="model")
        chosen = model or said or own.model.kind
        shipped = own.model.model_dump() if chosen == own.model.kind else {}
        settled = model_settings({**shipped, **experiment.model, "kind": chosen})
        training = TrainingSettings.of({**own.training.model_dump(), **experiment.training}, where="training")
        called = name or experiment.name or str(chosen)
        if not re.fullmatch(FOLDER, called):
            raise UsageError(f"{called!r} cannot be a folder's name", hint="letters, digits, dot, dash, underscore")
        fields = experiment.fields.applied(own.fields)
        return cls(called, kind, settled, fields, training, experiment.seeds or (training.seed,))

    def experiment(self) -> Experiment:
        """The experiment with nothing left to a recipe: what repeats this trial, stored with its results."""
        fields = {"only": [field.name for field in self.schema.fields], "put": self.schema.fields}
        return Experiment.of(
            {
                "name": self.name,
                "shelf": self.shelf,
                "model": self.model.model_dump(mode="json"),
                "fields": fields,
                "training": self.training.model_dump(mode="json"),
                "seeds": self.seeds,
            }
        )
