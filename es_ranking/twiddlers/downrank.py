"""Downrank: what this user has just seen, clicked or bought moves down.

With n_k actions of kind k on an item within the window and the threshold t_k,

    m_k = max(0, n_k - t_k + 1)

- factor: a score s > 0 becomes s * prod_k phi_k ** m_k, 0 < phi_k <= 1 (scores <= 0 and unranked items stay);
- places: index j in the filtered list becomes j + sum_k d_k * m_k, ties: undemoted first;
- not_in_first: an item with m_k > 0 waits until N others stand before it, then comes next (of several kinds the largest
  N counts); in a list with fewer others it comes last. N is of the list before pins and gaps;
- exclude: an item with m_k > 0 leaves the list.

Order among items in the same condition stays the ranker's, and more actions never move an item up. Downrank only
lowers, so one stream is enough: a hit that was not read cannot pass one that was read and kept its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Stream
from segments.config import Settings

WINDOW_DAYS = 28.0


class Degree(Settings):
    """How strongly one kind of action demotes: exactly one of factor, places, not_in_first, exclude."""

    threshold: int = Field(default=1, ge=1, description="actions within the window from which demotion begins")
    factor: float | None = Field(default=None, gt=0.0, le=1.0, description="phi: multiplies the score, once an action")
    places: int | None = Field(default=None, ge=1, description="d: places further down, for each action")
    not_in_first: int | None = Field(default=None, ge=1, le=1000, description="N: places the item is kept out of")
    exclude: bool = Field(default=False, description="the item leaves the list")

    @model_validator(mode="after")
    def _one_degree(self) -> Degree:
        given = [one for one in (self.factor, self.places, self.not_in_first, self.exclude or None) if one is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of factor, places, not_in_first, exclude: true")
        return self


class DownrankSettings(Configured):
    """Downrank of a surface."""

    kind: Literal["downrank"] = "downrank"
    window_days: float = Field(default=WINDOW_DAYS, gt=0.0, description="how far back actions count")
    actions: dict[str, Degree] = Field(description="by action kind: threshold and degree")

    def build(self, facts: Facts) -> Downrank:
        """The twiddler for one user."""
        return Downrank(penalties(facts.counts, self))


@dataclass(frozen=True, slots=True)
class Penalty:
    """What an item's actions cost it."""

    factor: float = 1.0
    places: int = 0
    not_in_first: int = 0
    excluded: bool = False
    reason: str = ""


def penalties(counts: Mapping[str, Mapping[str, int]], settings: DownrankSettings) -> dict[str, Penalty]:
    """Item id → penalty, from counts by item and kind; items that reach no threshold are left out.

    >>> settings = DownrankSettings(actions={"purchase": Degree(threshold=2, factor=0.5)})
    >>> penalties({"a": {"purchase": 1}, "b": {"purchase": 3}}, settings)["b"].factor
    0.25
    """
    found = {}
    for item, by_kind in counts.items():
        penalty = _penalty(by_kind, settings)
        if penalty is not None:
            found[item] = penalty
    return found


def _penalty(by_kind: Mapping[str, int], settings: DownrankSettings) -> Penalty | None:
    factor, places, first, excluded, reasons = 1.0, 0, 0, False, []
    # the order of the settings, not of the counts: the product of floats must be the same number every time
    for kind, degree in settings.actions.items():
        n = by_kind.get(kind, 0)
        m = max(0, n - degree.threshold + 1)
        if m == 0:
            continue
        if degree.factor is not None:
            factor *= degree.factor**m
            reasons.append(f"{kind} x{n}: score x {degree.factor**m:.4g}")
        elif degree.places is not None:
            places += degree.places * m
            reasons.append(f"{kind} x{n}: {degree.places * m} places down")
        elif degree.not_in_first is not None:
            first = max(first, degree.not_in_first)
            reasons.append(f"{kind} x{n}: not in the first {degree.not_in_first}")
        else:
            excluded = True
            reasons.append(f"{kind} x{n}: left out")
    return Penalty(factor, places, first, excluded, "; ".join(reasons)) if reasons else None


def demoted_score(score: float, factor: float) -> float:
    """The Python twin of `downrank.painless`: one multiplication, so that both give the same double."""
    return score * factor if score > 0.0 else score


class Downrank:
    """Applies penalties to a stream."""

    stage: ClassVar[str] = "downrank"

    def __init__(self, by_item: Mapping[str, Penalty]) -> None:
        self.by_item = by_item

    @property
    def idle(self) -> bool:
        return not self.by_item

    def reach(self, wanted: int) -> int:
        return wanted

    def rearrange(self, stream: Stream, wanted: int) -> Stream:
        entries, ended = stream.entries, stream.ended
        border = entries[-1].key if entries else None
        kept = [entry for entry in entries if not self._of(entry).excluded]
        for entry in kept:
            penalty = self._of(entry)
            if penalty.reason:
                entry.reasons[self.stage] = penalty.reason
            if entry.score is not None:
                entry.score = demoted_score(entry.score, penalty.factor)
        kept.sort(key=lambda entry: entry.key)
        if not ended and border is not None:
            # an unread hit stands below the last one read, and can only go further down
            kept = [entry for entry in kept if entry.key <= border]
        return Stream(self._held(self._shifted(kept, ended), ended), ended, stream.slots, stream.relaxed)

    def _shifted(self, entries: list[Entry], ended: bool) -> list[Entry]:
        if not any(self._of(entry).places for entry in entries):
            return entries
        keyed = []
        for j, entry in enumerate(entries):
            places = self._of(entry).places
            keyed.append((j + places, places > 0, j, entry))
        keyed.sort(key=lambda k: k[:3])
        # the next unread index may stay where it is: what goes to that index or further is not settled
        return [entry for index, _, _, entry in keyed if ended or index < len(entries)]

    def _held(self, entries: list[Entry], ended: bool) -> list[Entry]:
        if not any(self._of(entry).not_in_first for entry in entries):
            return entries
        order: list[Entry] = []
        waiting: list[Entry] = []
        for entry in entries:
            waiting.append(entry)
            while (index := self._next(waiting, len(order))) is not None:
                order.append(waiting.pop(index))
        # nobody follows who could stand before those that still wait
        return order + waiting if ended else order

    def _next(self, waiting: list[Entry], place: int) -> int | None:
        """The first of those that wait which may stand at the place."""
        return next((i for i, entry in enumerate(waiting) if self._of(entry).not_in_first <= place), None)

    def _of(self, entry: Entry) -> Penalty:
        return self.by_item.get(entry.hit.item_id, _NONE)


_NONE = Penalty()
