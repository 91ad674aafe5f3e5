"""The catalogue: which segments exist, which variant serves which of them, and where a user falls.

Every variant names a chain of families that ends in `all`; the first family in which the user has a segment wins.
Written by the night as JSON, read by the query side and the command line without Spark.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from segments.config import Settings
from segments.errors import ContractBroken, UsageError
from segments.naming import checked
from segments.teams import refuse_pair
from segments.whole import write_whole

ALL = "all"


class Segment(Settings):
    """A named group of users."""

    id: str
    family: str = Field(description="the way of cutting this segment comes from")
    values: dict[str, str] = Field(default={}, description="model field → value; fields not named are `any`")
    users: int = Field(default=0, ge=0, description="users in it as of the run's clock")
    label: str = Field(default="", description="for people")
    parent: str | None = Field(default=ALL, description="the wider segment; None for `all` alone")

    @field_validator("id")
    @classmethod
    def _fits_a_field_name(cls, value: str) -> str:
        try:
            return checked(value)
        except UsageError as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True)
class Cut:
    """One family's result: the segments, and each user's one of them. Users without one are not listed."""

    segments: tuple[Segment, ...]
    segment_of: dict[str, str]


def everyone(users: int) -> Segment:
    """The segment that serves whoever has no other."""
    return Segment(id=ALL, family=ALL, users=users, label="everyone", parent=None)


class Catalogue(Settings):
    """All segments of a run, and the variants that serve them."""

    run: str = Field(default="", description="the run that wrote it")
    families: tuple[str, ...]
    segments: tuple[Segment, ...]
    variants: dict[str, tuple[str, ...]] = Field(description="variant → chain of families, the last is `all`")

    @model_validator(mode="after")
    def _names_meet(self) -> Self:
        ids = [segment.id for segment in self.segments]
        if len(set(ids)) != len(ids):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            raise ValueError(f"segment ids occur twice: {twice}; give the families different prefixes")
        if ALL not in ids:
            raise ValueError("the segment `all` is missing")
        for segment in self.segments:
            if segment.family not in {*self.families, ALL}:
                raise ValueError(f"segment {segment.id} is of no known family: {segment.family}")
            if segment.parent is not None and segment.parent not in ids:
                raise ValueError(f"segment {segment.id} has an unknown parent: {segment.parent}")
        for variant, chain in self.variants.items():
            refuse_pair(variant)
            if not chain or chain[-1] != ALL:
                raise ValueError(f"the chain of variant {variant} must end in `all`")
            if set(chain) - {*self.families, ALL}:
                raise ValueError(f"variant {variant} names unknown families: {sorted(set(chain) - set(self.families))}")
        return self

    def segment(self, name: str) -> Segment:
        """A segment by id.

        Raises:
            UsageError: there is none, with the nearest known ids.
        """
        for segment in self.segments:
            if segment.id == name:
                return segment
        raise UsageError.unknown("segment", name, (segment.id for segment in self.segments))

    def chain(self, variant: str) -> tuple[str, ...]:
        """The families of a variant, the first that fits a user wins.

        Raises:
            UsageError: unknown variant.
        """
        if variant not in self.variants:
            raise UsageError.unknown("variant", variant, self.variants)
        return self.variants[variant]

    def segments_of(self, variant: str) -> tuple[Segment, ...]:
        """All segments a variant ranks for, `all` included, in catalogue order."""
        chain = self.chain(variant)
        return tuple(segment for segment in self.segments if segment.family in chain)

    def resolve(self, user_segments: Mapping[str, str], variant: str) -> str:
        """The segment that serves a user in a variant.

        Args:
            user_segments: family → segment id, as `UserSegments.resolve` gives it; empty for an unknown user.
            variant: whose chain is walked.

        Raises:
            UsageError: unknown variant, or the user's segment is not in this catalogue.
        """
        for family in self.chain(variant):
            if family in user_segments:
                return self.segment(user_segments[family]).id
        return ALL

    def write(self, path: str | Path) -> None:
        """Writes JSON; a reader never sees half of it."""
        write_whole(Path(path), json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `write` wrote.

        Raises:
            UsageError: no such file.
            ContractBroken: not a catalogue.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            hint = "es-ranking segments fit writes it"
            raise UsageError("cannot read the catalogue of segments", where=str(path), hint=hint) from error
        except ValueError as error:
            raise ContractBroken(f"not JSON: {error}", where=str(path)) from error
        try:
            return cls.of(values, where=str(path))
        except UsageError as error:
            raise ContractBroken(error.what, where=str(path)) from error
