"""What a generation's index tells of itself, in its mapping: all that is known of it is in the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from segments.errors import ContractBroken

META = "es_ranking"


@dataclass(frozen=True)
class GenerationMeta:
    """What a generation's main index tells of itself, in its mapping's `_meta.es_ranking`.

    Attributes:
        generation: the id.
        run: the run that made it.
        as_of: the run's clock, ISO.
        default_variant: whose `all` the alias field `recommended` points at.
        rank_fields: variant → segments.
        catalogue: `segments.catalogue.Catalogue` as JSON.
        documents: how many documents it must hold.
        night: run of the whole night that this generation brings up to date; empty for a whole night's own.
        space: names the set of item vectors, which tastes in the store must be of; empty where items have none.
        content: alias → checksum of what the run's tables say the index holds; without it nothing is compared with it.
        ours: shard → last write of the publish; later ones are owners'.
        settled: shard → last write that no owner's lies before, in what was copied neither; empty if that is not known.
    """

    generation: str
    alias: str
    run: str
    number: int
    as_of: str
    default_variant: str
    rank_fields: dict[str, list[str]]
    catalogue: dict[str, Any]
    documents: int
    night: str = ""
    space: str = ""
    content: dict[str, str] = field(default_factory=dict)
    ours: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)

    def age_hours(self, now: datetime) -> float:
        """Hours from the run's clock to a UTC time.

        Raises:
            ContractBroken: the clock is not a time.
        """
        try:
            clock = datetime.fromisoformat(self.as_of)
        except ValueError as error:
            raise ContractBroken(f"the generation's time {self.as_of!r} is none", where=self.generation) from error
        clock = clock.replace(tzinfo=UTC) if clock.tzinfo is None else clock
        return (now - clock).total_seconds() / 3600

    def to_meta(self) -> dict[str, Any]:
        """The mapping's `_meta`."""
        return {META: asdict(self)}

    @classmethod
    def of(cls, meta: Mapping[str, Any], *, where: str) -> Self:
        """From a mapping's `_meta`.

        Raises:
            ContractBroken: not one of ours.
        """
        try:
            return cls(**meta[META])
        except (KeyError, TypeError) as error:
            raise ContractBroken("the index was not published by es-ranking", where=where) from error
