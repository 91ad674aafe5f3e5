"""The fields a model sees: which column, what kind of value, and who knows it when a rank is made.

A *role* says when a field is known. `item` fields belong to the item alone and `segment` fields to the segment alone:
both are known at night, and the grid computes their parts once. `context` fields (position, display, store) are known
only when a list is shown: trained on, held neutral at scoring. `user` fields belong to one person and are used by
personal models only.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from segments.config import Settings
from segments.errors import UsageError

Role = Literal["item", "segment", "context", "user"]
Kind = Literal["categorical", "numeric", "vector"]
Transform = Literal["normal_scores", "log", "log1p"]


class Field(Settings):
    """One column of the `examples` and `item_features` tables, as a model reads it."""

    name: str = Setting(description="the column")
    kind: Kind = "categorical"
    role: Role = "item"
    buckets: int = Setting(default=1024, ge=8, description="embedding rows of a categorical field (hash range)")
    width: int = Setting(default=0, ge=0, description="numbers in a vector field")
    transform: Transform = Setting(
        default="normal_scores",
        description="of a numeric field; log (of rates) and log1p (of counts) tell the largest apart: the first places",
    )

    @model_validator(mode="after")
    def _width_of_vectors(self) -> Self:
        if (self.kind == "vector") != (self.width > 0):
            raise ValueError(f"field {self.name}: width is given for vector fields, and only for them")
        return self


class FieldSchema(Settings):
    """An ordered list of fields: the contract between features and models, and the fingerprint of a checkpoint."""

    fields: tuple[Field, ...]

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError("two fields have the same name")
        return self

    def of_kind(self, kind: Kind) -> tuple[Field, ...]:
        """The fields of one kind, in order."""
        return tuple(field for field in self.fields if field.kind == kind)

    def of_role(self, role: Role) -> tuple[Field, ...]:
        """The fields of one role, in order."""
        return tuple(field for field in self.fields if field.role == role)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise UsageError.unknown("field", name, (field.name for field in self.fields))
