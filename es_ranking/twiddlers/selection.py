"""Which items a rule is about: by id, or by values of fields; the same for a hit here and for a query in the engine."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from es_ranking.twiddlers.contract import Hit, Value
from segments.config import Settings

Wanted = StrictBool | StrictInt | StrictStr
"""A value of a keyword, integer or boolean field."""


class Selection(Settings):
    """Items by id, or those with one of the values in each of the fields."""

    items: tuple[str, ...] = Field(default=(), max_length=1000, description="item ids")
    where: dict[str, tuple[Wanted, ...]] = Field(
        default_factory=dict, max_length=8, description="field with doc values → values, one of which the item has"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.items) == bool(self.where) or not all(self.where.values()):
            raise ValueError("give items (a list of ids) or where (field: [values]), one of them")
        return self

    def matches(self, hit: Hit) -> bool:
        """Whether a hit is meant, by its id and doc values."""
        if self.items:
            return hit.item_id in self.params["items"]
        return all(
            any(text(value) in wanted for value in hit.attributes.get(name, ()))
            for name, wanted in self.params["where"].items()
        )

    def clause(self, item_field: str) -> dict[str, Any]:
        """The same as a query."""
        if self.items:
            return {"terms": {item_field: list(self.items)}}
        return {"bool": {"filter": [{"terms": {name: list(values)}} for name, values in self.where.items()]}}

    @cached_property
    def params(self) -> dict[str, Any]:
        """The same as parameters of a script: texts as keys."""
        return {
            "items": dict.fromkeys(self.items, True),
            "where": {name: {text(value): True for value in values} for name, values in self.where.items()},
        }


def text(value: Value) -> str:
    """A value as scripts compare it.

    >>> text(True), text(544)
    ('true', '544')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)
