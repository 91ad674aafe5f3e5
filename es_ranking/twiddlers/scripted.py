"""Scripted: an operator's own expression orders the top of a list (its language: expression.py).

Its names are `score` (so far), `place` (so far, from 1), `n_<kind>` (the user's actions of that kind on the item within
downrank's window), and every other name a numeric or boolean field of the hit. A field that the hit lacks, or that is
no number, is `missing`; of several values the first counts. The first `depth` hits are sorted by the value, highest
first; ties keep their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Value
from es_ranking.twiddlers.expression import LARGEST, Expression
from es_ranking.twiddlers.resort import Resort
from segments.errors import UsageError

ACTIONS = "n_"
OWN = ("score", "place")


class ScriptedSettings(Configured):
    """A named expression of a surface."""

    kind: Literal["scripted"] = "scripted"
    name: str = Field(min_length=1, max_length=100, description="what a reason calls it")
    expression: str = Field(description="a number for each hit; the highest comes first")
    depth: int = Field(default=200, ge=2, le=2000, description="hits that are sorted again")
    missing: float = Field(default=0.0, ge=-LARGEST, le=LARGEST, description="a field that a hit lacks")

    @field_validator("expression")
    @classmethod
    def _readable(cls, text: str) -> str:
        try:
            Expression.of(text)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return text

    @cached_property
    def formula(self) -> Expression:
        """The expression, read once."""
        return Expression.of(self.expression)

    @property
    def counts(self) -> bool:
        """Whether it asks for the user's actions."""
        return any(name.startswith(ACTIONS) for name in self.formula.names)

    def attributes(self, facts: Facts) -> tuple[str, ...]:
        return tuple(sorted(n for n in self.formula.names if n not in OWN and not n.startswith(ACTIONS)))

    def build(self, facts: Facts) -> Scripted:
        """The twiddler for one user."""
        return Scripted(self, facts.counts)


class Scripted(Resort):
    """Sorts the top of a list by an expression."""

    stage: ClassVar[str] = "scripted"

    def __init__(self, settings: ScriptedSettings, counts: Mapping[str, Mapping[str, int]]) -> None:
        super().__init__(settings.depth)
        self.settings = settings
        self.counts = counts

    def again(self, moving: list[Entry]) -> list[Entry]:
        values = [self._value(entry, place) for place, entry in enumerate(moving, start=1)]
        order = sorted(range(len(moving)), key=lambda index: -values[index])
        for entry, value in zip(moving, values, strict=True):
            entry.reasons[self.stage] = f"{self.settings.name}: {value:.4g}"
        return [moving[index] for index in order]

    def _value(self, entry: Entry, place: int) -> float:
        counts = self.counts.get(entry.hit.item_id, {})
        known: dict[str, float] = {"score": entry.score or 0.0, "place": float(place)}
        for name in self.settings.formula.names:
            if name.startswith(ACTIONS):
                known[name] = float(counts.get(name.removeprefix(ACTIONS), 0))
            elif name not in known:
                known[name] = _number(entry.hit.attributes.get(name, ()), self.settings.missing)
        return self.settings.formula.compute(known)


def _number(values: Sequence[Value], missing: float) -> float:
    first = values[0] if values else None
    return missing if first is None or isinstance(first, str) else min(max(float(first), -LARGEST), LARGEST)
