"""Boosts and buries: merchandisers raise or lower items, by id or by values of fields.

A score s > 0 becomes s * f, f > 1 raises, f < 1 buries (scores <= 0 and unranked items stay). Of several rules that
match an item the first one counts, so the scores of one rule's items keep their order. Ties after it: the base order.

A raised hit may stand far down in the base order. So the planner is given, beside the window, a *strand* for each rule
that raises: the first hits of the same query that are that rule's. An unread hit then stands below the last hit of its
strand, times the factor; one of no such rule below the last hit of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any, ClassVar, Literal

from pydantic import Field

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Hit, Piece
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
    """Applies the rules to a list and its strands."""

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

    def begin(self) -> _Boosting:
        return _Boosting(self.boosts)


class _Boosting:
    """One list and its strands, merged by boosted scores."""

    def __init__(self, boosts: Sequence[Boost]) -> None:
        self.boosts = boosts
        self.raising = sum(boost.factor > 1.0 for boost in boosts)
        self.entries: dict[str, Entry] = {}
        self.waiting: list[tuple[Key, Entry]] = []
        # below which keys unread hits of the list and of each strand stand; None: nothing was read of it yet
        self.border: Key | None = None
        self.borders: dict[int, Key | None] = {}
        self.turns = 0

    def feed(self, piece: Piece, wanted: int) -> Piece:
        for entry in piece.entries:
            self._take(entry)
        if piece.entries:
            last = piece.entries[-1].hit
            self.border = (last.score is None, -(last.score or 0.0), _base(last))
        for place, strand in enumerate(piece.strands):
            for hit in strand.hits:
                self._take(Entry(hit, hit.score))
            if strand.ended:
                self.borders.pop(place, None)
            elif strand.hits:
                self.borders[place] = self._key(strand.hits[-1])
            else:
                self.borders.setdefault(place, None)
        return replace(piece, entries=self._settled(piece), strands=())

    def _take(self, entry: Entry) -> None:
        known = self.entries.setdefault(entry.hit.item_id, entry)
        if known is entry:
            heappush(self.waiting, (self._key(entry.hit), entry))
        else:
            # a strand had it before: its place in the base order is known only now
            known.places = entry.places | known.places

    def _settled(self, piece: Piece) -> list[Entry]:
        borders = [self.border, *self.borders.values()]
        known = len(piece.strands) == self.raising and all(border is not None for border in borders)
        if not (known or piece.ended):
            return []
        least = min((border for border in borders if border is not None), default=None)
        settled = []
        while self.waiting and (piece.ended or least is None or self.waiting[0][0] <= least):
            entry = heappop(self.waiting)[1]
            boost = self._of(entry.hit)
            if boost is not None and entry.score is not None:
                entry.score = boosted_score(entry.score, boost.factor)
                by = f" by {boost.campaign}" if boost.campaign else ""
                entry.reasons[Boosts.stage] = f"score x {boost.factor:g}{by}"
            entry.turn = self.turns
            self.turns += 1
            settled.append(entry)
        return settled

    def _key(self, hit: Hit) -> Key:
        boost = self._of(hit)
        score = hit.score if hit.score is None or boost is None else boosted_score(hit.score, boost.factor)
        return (score is None, -(score or 0.0), _base(hit))

    def _of(self, hit: Hit) -> Boost | None:
        return next((boost for boost in self.boosts if boost.matches(hit)), None)


def _base(hit: Hit) -> tuple[bool, float, str]:
    return (hit.score is None, -(hit.score or 0.0), hit.item_id)
