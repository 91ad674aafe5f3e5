"""Boosts and buries: merchandisers raise or lower items, by id or by values of fields.

A score s > 0 becomes s * f, f > 1 raises, f < 1 buries (scores <= 0 and unranked items stay). Of several rules that
match an item the first one counts, so the scores of one rule's items keep their order. Ties after it: the base order.

A raised hit may stand far down in the base order. So the planner is given, beside the window, a *strand* for each rule
that raises: the first hits of the same query that are that rule's. An unread hit then stands below the last hit of its
strand, times the factor; one of no such rule below the last hit of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Hit, Stream
from es_ranking.twiddlers.selection import Selection

MOST_RAISING = 10
"""Rules above 1 in one request: each costs a search of its own within the plan's round trip."""

Key = tuple[bool, float, tuple[bool, float, str]]


class Boost(Selection):
    """One rule."""

    factor: float = Field(gt=0.0, le=1000.0, description="multiplies the score: above 1 raises, below 1 buries")
    campaign: str = Field(default="", description="who wants it, for the reason")


class BoostsSettings(Configured):
    """Boosts and buries of a surface."""

    kind: Literal["boosts"] = "boosts"
    boosts: tuple[Boost, ...] = Field(min_length=1, description="rules; the first that matches an item counts")

    def attributes(self, facts: Facts) -> tuple[str, ...]:
        return tuple(name for boost in self.boosts for name in boost.where)

    def build(self, facts: Facts) -> Boosts:
        """The twiddler; it needs to know nothing but the hits."""
        return Boosts(self.boosts)


def boosted_score(score: float, factor: float) -> float:
    """The Python twin of `boosts.painless`: one multiplication, so that both give the same double."""
    return score * factor if score > 0.0 else score


class Boosts:
    """Applies the rules to a stream and its strands."""

    stage: ClassVar[str] = "boosts"

    def __init__(self, boosts: Sequence[Boost]) -> None:
        self.boosts = boosts

    @property
    def idle(self) -> bool:
        return all(boost.factor == 1.0 for boost in self.boosts)

    def strands(self, item_field: str) -> list[dict[str, Any]]:
        """For each rule that raises, the query of its own hits: those it matches and no rule before it does."""
        clauses = [boost.clause(item_field) for boost in self.boosts]
        return [
            {"bool": {"filter": [clauses[index]], "must_not": clauses[:index]}}
            for index, boost in enumerate(self.boosts)
            if boost.factor > 1.0
        ]

    def reach(self, wanted: int) -> int:
        return wanted

    def rearrange(self, stream: Stream, wanted: int) -> Stream:
        entries = {entry.hit.item_id: entry for entry in stream.entries}
        borders = [] if stream.ended else self._borders(stream)
        if borders is None:
            return Stream([], False, stream.slots, stream.relaxed)
        for strand in stream.strands:
            for hit in strand.hits:
                entries.setdefault(hit.item_id, Entry(hit, hit.score))
        keyed = sorted(((self._key(entry.hit), entry) for entry in entries.values()), key=lambda pair: pair[0])
        border = min(borders, default=None)
        kept = [entry for key, entry in keyed if border is None or key <= border]
        for turn, entry in enumerate(kept):
            boost = self._of(entry.hit)
            if boost is not None and entry.score is not None:
                entry.score = boosted_score(entry.score, boost.factor)
                by = f" by {boost.campaign}" if boost.campaign else ""
                entry.reasons[self.stage] = f"score x {boost.factor:g}{by}"
            entry.turn = turn
        return Stream(kept, stream.ended, stream.slots, stream.relaxed)

    def _borders(self, stream: Stream) -> list[Key] | None:
        """Below which keys unread hits stand; None where nothing is known of them yet."""
        open_strands = [strand for strand in stream.strands if not strand.ended]
        if (
            not stream.entries
            or len(stream.strands) < sum(boost.factor > 1.0 for boost in self.boosts)
            or not all(s.hits for s in open_strands)
        ):
            return None
        last = stream.entries[-1].hit
        return [(last.score is None, -(last.score or 0.0), _base(last)), *(self._key(s.hits[-1]) for s in open_strands)]

    def _key(self, hit: Hit) -> Key:
        boost = self._of(hit)
        score = hit.score if hit.score is None or boost is None else boosted_score(hit.score, boost.factor)
        return (score is None, -(score or 0.0), _base(hit))

    def _of(self, hit: Hit) -> Boost | None:
        return next((boost for boost in self.boosts if boost.matches(hit)), None)


def _base(hit: Hit) -> tuple[bool, float, str]:
    return (hit.score is None, -(hit.score or 0.0), hit.item_id)
