"""What operators have decided about lures: a document of decisions, kept like a policy, `<alias>-lures`.

The night reads the latest: what is denied is a lure whatever the filter finds, what is allowed never is, and from both
the filter learns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from es_ranking.versions.store import Kind, VersionStore
from segments.config import Settings

Name = Annotated[str, Field(min_length=1, max_length=512)]


class LureDecision(Settings):
    """One item's."""

    item: Name
    verdict: Literal["allow", "deny"] = Field(description="allow: no lure; deny: a lure")
    segments: tuple[Name, ...] = Field(default=(), max_length=100, description="only for these segments")

    def holds_for(self, segment: str) -> bool:
        """Whether it holds for this segment."""
        return not self.segments or segment in self.segments


class LureDecisions(Settings):
    """All decisions about the items of an index, one an item, the latest first."""

    decisions: tuple[LureDecision, ...] = Field(default=(), max_length=20_000)

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(self.by_item) < len(self.decisions):
            items = [one.item for one in self.decisions]
            twice = sorted({item for item in items if items.count(item) > 1})
            raise ValueError(f"decided twice: {', '.join(twice)}")
        return self

    @property
    def by_item(self) -> dict[str, LureDecision]:
        return {one.item: one for one in self.decisions}

    def labels(self) -> dict[str, int]:
        """Item → 1 lure, 0 honest, of what holds for everybody: what the filter learns from."""
        return {one.item: int(one.verdict == "deny") for one in self.decisions if not one.segments}

    def decided(self, fresh: Iterable[LureDecision]) -> LureDecisions:
        """With these; they take the place of earlier ones about the same items."""
        new = {one.item: one for one in fresh}
        kept = (one for one in self.decisions if one.item not in new)
        return LureDecisions(decisions=(*new.values(), *kept))

    def without(self, items: Iterable[str]) -> LureDecisions:
        """Without what was decided about these items."""
        gone = set(items)
        return LureDecisions(decisions=tuple(one for one in self.decisions if one.item not in gone))


def changes(before: LureDecisions | None, after: LureDecisions) -> list[str]:
    """Lines such as `p007: allow → deny for d_young`, in the order of the document.

    >>> changes(None, LureDecisions.of({"decisions": [{"item": "p007", "verdict": "deny", "segments": ["all"]}]}))
    ['p007: deny for all']
    """
    old, new = (before or LureDecisions()).by_item, after.by_item
    lines = [f"{item}: {_told(one)}" for item, one in new.items() if item not in old]
    lines += [f"{item}: {_told(old[item])} → {_told(one)}" for item, one in new.items() if old.get(item, one) != one]
    return lines + [f"{item}: {_told(one)} removed" for item, one in old.items() if item not in new]


def _told(one: LureDecision) -> str:
    return one.verdict + (f" for {', '.join(one.segments)}" if one.segments else "")


class LureStore(VersionStore[LureDecisions]):
    """The decisions about the items of one alias."""

    kind = Kind("lures", LureDecisions, changes, hint="es-ranking lures history")

    def in_force(self) -> LureDecisions:
        """The latest; none where nothing was ever decided.

        Raises:
            ContractBroken: the latest version is broken.
        """
        latest = self.latest()
        return latest.read() if latest else LureDecisions()
