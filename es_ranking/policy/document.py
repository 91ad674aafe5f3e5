"""The policy document: campaigns, each with what it wants, where and when. What a merchandiser writes.

Strict: an unknown key, a factor below 1 among the boosts, an end before its start or an unknown time zone is refused
with its place in the document.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from es_ranking.twiddlers.pins import Pin
from es_ranking.twiddlers.scripted import ScriptedSettings
from es_ranking.twiddlers.selection import Selection, Wanted
from segments.config import Settings, read_yaml

Name = Annotated[str, Field(min_length=1, max_length=100)]
Names = Annotated[tuple[Name, ...], Field(max_length=100)]


class Raise(Selection):
    """Items that are worth more than their rank says."""

    factor: float = Field(ge=1.0, le=1000.0, description="multiplies the score")


class Bury(Selection):
    """Items that are worth less than their rank says."""

    factor: float = Field(gt=0.0, le=1.0, description="multiplies the score")


class Campaign(Settings):
    """What is wanted, and where and when it holds; without dates always, without a scope everywhere."""

    name: Name = Field(description="unique in the document; reasons name it")
    priority: int = Field(default=0, ge=-1000, le=1000, description="of campaigns that disagree the highest wins")
    starts: datetime | None = Field(default=None, description="local time in the zone, inclusive")
    ends: datetime | None = Field(default=None, description="local time in the zone, exclusive")
    zone: str = Field(default="UTC", description="time zone of starts and ends, such as Europe/Berlin")
    surfaces: Names = Field(default=(), description="only on these surfaces")
    variants: Names = Field(default=(), description="only for these variants")
    segments: Names = Field(default=(), description="only for these segments")
    lists: dict[str, tuple[Wanted, ...]] = Field(
        default_factory=dict, max_length=8, description="only where the query filters these fields by these values"
    )
    pins: tuple[Pin, ...] = Field(default=(), max_length=300, description="items at slots")
    boosts: tuple[Raise, ...] = Field(default=(), max_length=50, description="items that are raised")
    buries: tuple[Bury, ...] = Field(default=(), max_length=50, description="items that are lowered")
    exclusions: tuple[Selection, ...] = Field(default=(), max_length=50, description="items that are never shown")
    expressions: tuple[ScriptedSettings, ...] = Field(
        default=(), max_length=1, description="orders the top of the list"
    )

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone not in _zones():
            raise ValueError(f"unknown time zone {zone[:50]!r}: write one such as Europe/Berlin or UTC")
        return zone

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for what, time in (("starts", self.starts), ("ends", self.ends)):
            if time is not None and time.tzinfo is not None:
                raise ValueError(f"{what} has an offset: write the local time, and the time zone as zone")
        if self.starts is not None and self.ends is not None and self.ends <= self.starts:
            raise ValueError("ends is not after starts")
        for what, values in (("item", [pin.item for pin in self.pins]), ("slot", [str(pin.slot) for pin in self.pins])):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} pinned twice: {', '.join(twice)}")
        return self

    @property
    def factors(self) -> tuple[Raise | Bury, ...]:
        """Boosts and buries: of several that match an item the first counts."""
        return (*self.boosts, *self.buries)

    def holds_at(self, time: datetime) -> bool:
        """Whether a moment lies between start and end. An hour that a clock shows twice counts from the first."""
        zone = ZoneInfo(self.zone)
        begun = self.starts is None or self.starts.replace(tzinfo=zone).timestamp() <= time.timestamp()
        return begun and (self.ends is None or time.timestamp() < self.ends.replace(tzinfo=zone).timestamp())


class Policy(Settings):
    """All campaigns of an index; of those of one priority the one that is written first wins."""

    campaigns: tuple[Campaign, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [campaign.name for campaign in self.campaigns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two campaigns have one name: {', '.join(twice)}")
        return self

    @property
    def by_priority(self) -> list[Campaign]:
        """The one that wins first."""
        return sorted(self.campaigns, key=lambda campaign: -campaign.priority)


def read_policy(path: str | Path) -> Policy:
    """A policy from a YAML or JSON file. Environment variables are not filled in.

    Raises:
        UsageError: cannot be read, or is wrong.
    """
    return Policy.of(read_yaml(path, variables=False), where=str(path))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
