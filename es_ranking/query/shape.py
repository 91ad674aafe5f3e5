"""The shape of a query body, as far as planning looks into one; what is inside is the engine's to judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segments.errors import UsageError

_Object = dict[str, Any]
_Name = Annotated[str, Field(min_length=1)]


class _Field(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    field: _Name


_Fields = list[_Name | _Field]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    query: _Object | None = None
    post_filter: _Object | None = None
    collapse: _Object | None = None
    knn: _Object | list[_Object] | None = None
    aggs: _Object | None = None
    aggregations: _Object | None = None
    runtime_mappings: _Object | None = None
    docvalue_fields: _Fields | None = None
    fields: _Fields | None = None
    min_score: float | None = None


def check_shape(body: Mapping[str, Any]) -> None:
    """Checks a body.

    Raises:
        UsageError: a part of it is of another shape.
    """
    try:
        _Shape.model_validate(body)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        raise UsageError(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}", where="query body") from error
