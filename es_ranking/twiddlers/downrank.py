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
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Key, Piece
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
    # most items have the same few counts: one view, two views
    known: dict[tuple[tuple[str, int], ...], Penalty | None] = {}
    for item, by_kind in counts.items():
        same = tuple(by_kind.items())
        if same not in known:
            known[same] = _penalty(by_kind, settings)
        penalty = known[same]
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
    """Applies penalties to a list."""

    stage: ClassVar[str] = "downrank"

    def __init__(self, by_item: Mapping[str, Penalty]) -> None:
        self.by_item = by_item

    @property
    def idle(self) -> bool:
        return not self.by_item

    def reach(self, wanted: int) -> int:
        # of the first places of a list the user knows some, seldom more than a fifth
        return wanted + min(len(self.by_item), wanted // 4)

    def begin(self) -> _Demoting:
        return _Demoting(self.by_item)


class _Demoting:
    """One list. Hits wait twice: until no unread one can stand before them, and until their place is free."""

    def __init__(self, by_item: Mapping[str, Penalty]) -> None:
        self.by_item = by_item
        self.moves_places = any(penalty.places for penalty in by_item.values())
        self.holds_back = any(penalty.not_in_first for penalty in by_item.values())
        # by their new keys: hits that unread ones may still pass
        self.lowered: list[tuple[Key, Entry]] = []
        # by their new index: hits that go to an index not yet reached
        self.shifted: list[tuple[int, bool, int, Entry]] = []
        self.index = 0
        self.waiting: list[Entry] = []
        self.placed = 0

    def feed(self, piece: Piece, wanted: int) -> Piece:
        border = piece.entries[-1].key if piece.entries else None
        for entry in piece.entries:
            penalty = self.by_item.get(entry.hit.item_id)
            if penalty is not None:
                if penalty.excluded:
                    continue
                entry.reasons[Downrank.stage] = penalty.reason
                if entry.score is not None:
                    entry.score = demoted_score(entry.score, penalty.factor)
            heappush(self.lowered, (entry.key, entry))
        settled = []
        # an unread hit stands below the last one read, and can only go further down
        while self.lowered and (piece.ended or (border is not None and self.lowered[0][0] <= border)):
            settled.append(heappop(self.lowered)[1])
        if self.moves_places:
            settled = self._shifted(settled, piece.ended)
        if self.holds_back:
            settled = self._held(settled, piece.ended)
        return replace(piece, entries=settled)

    def _shifted(self, entries: list[Entry], ended: bool) -> list[Entry]:
        for entry in entries:
            places = self._of(entry).places
            heappush(self.shifted, (self.index + places, places > 0, self.index, entry))
            self.index += 1
        order = []
        # the next unread index may stay where it is: what goes to that index or further is not settled
        while self.shifted and (ended or self.shifted[0][0] < self.index):
            order.append(heappop(self.shifted)[3])
        return order

    def _held(self, entries: list[Entry], ended: bool) -> list[Entry]:
        order: list[Entry] = []
        for entry in entries:
            self.waiting.append(entry)
            while (index := self._next(self.placed + len(order))) is not None:
                order.append(self.waiting.pop(index))
        if ended:
            # nobody follows who could stand before those that still wait
            order += self.waiting
            self.waiting = []
        self.placed += len(order)
        return order

    def _next(self, place: int) -> int | None:
        """The first of those that wait which may stand at the place."""
        return next((i for i, entry in enumerate(self.waiting) if self._of(entry).not_in_first <= place), None)

    def _of(self, entry: Entry) -> Penalty:
        return self.by_item.get(entry.hit.item_id, _NONE)


_NONE = Penalty()
