"""What a twiddler is given, what it gives back, and the fixed order of stages.

A twiddler is fed a ranked list piece by piece, and gives back its own order as far as no later hit can change it (what
is *settled*). So stages compose, pieces of any length give the same sequence, the planner can tell exactly when it has
read enough, and a list can be gone on with where it was left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from segments.config import Settings

if TYPE_CHECKING:
    from es_ranking.tastes.contract import Taste

Key = tuple[bool, float, int, str]
Value = str | int | float | bool
"""A value of an attribute, as the engine's doc values give it."""

STAGES = ("filter", "base", "boosts", "scripted", "personal", "downrank", "interleave", "pins", "interval")
"""The order of stages (DESIGN: query time). Whatever order a surface lists its twiddlers in, they run in this one."""
OF_THE_PAGE = ("pins", "interval")
"""Where two variants are interleaved, each has a list of its own until then; these run once, over both."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One hit of the base order.

    Args:
        item_id: unique in the list.
        score: the rank field's value; None where the item has no rank (such items come last, by item id).
        attributes: values by attribute name; a missing or empty attribute is exempt from its gap.
    """

    item_id: str
    score: float | None
    attributes: Mapping[str, Sequence[Value]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """One stage moved one item. Places count from 1; no source: it stood further down than was read."""

    item: str
    source: int | None
    target: int
    stage: str
    reason: str

    def to_dict(self) -> dict[str, object]:
        """As it is printed: `from` and `to` are places counted from 1."""
        return {"item": self.item, "from": self.source, "to": self.target, "stage": self.stage, "reason": self.reason}


@dataclass(slots=True)
class Entry:
    """A hit on its way through the stages: its score so far, its place after each stage, and why.

    `turn` orders hits of one score where a stage before has decided it; elsewhere the item id does. `team` is the
    variant whose pick it was, where two are interleaved.
    """

    hit: Hit
    score: float | None
    places: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    turn: int = 0
    team: str | None = None

    @property
    def key(self) -> Key:
        """Sorts as the engine does: score descending, unranked last, ties by item id."""
        return (self.score is None, -(self.score or 0.0), self.turn, self.hit.item_id)

    def moves(self) -> list[Move]:
        """The moves of this item, stage by stage."""
        found, previous = [], None
        for stage in STAGES:
            place = self.places.get(stage)
            if place is None:
                continue
            if place != previous and (previous is not None or stage in self.reasons):
                up = previous is None or place < previous
                way = "moved up: others above it moved" if up else "moved down: others passed it"
                found.append(Move(self.hit.item_id, previous, place, stage, self.reasons.get(stage, way)))
            previous = place
        return found


@dataclass(frozen=True, slots=True)
class Strand:
    """Hits of a part of the list, in base order: those that one boost raises.

    Args:
        hits: the next ones; in all as many as were read of the whole list, or all there are.
        ended: no hit of this part follows.
    """

    hits: Sequence[Hit]
    ended: bool


@dataclass(slots=True)
class Piece:
    """The next hits of a list: what follows what came before, in order.

    Args:
        entries: in order.
        ended: no hit follows these.
        slots: places (counted from 0) that pins have reserved; their items are not among the entries of any piece.
        relaxed: places at which limits were given up, one for each limit dropped.
        strands: of the boosts that raise, in their order; until the stage of boosts.
    """

    entries: list[Entry]
    ended: bool
    slots: Mapping[int, Entry] = field(default_factory=dict)
    relaxed: list[int] = field(default_factory=list)
    strands: Sequence[Strand] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What twiddlers need to know of this user and this query, gathered before planning.

    Args:
        counts: item → action kind → number of actions within the window.
        pinned: the pinned items that match the query's filters.
        taste: what the user clicked, if he has clicked enough to be served by it.
    """

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pinned: Mapping[str, Hit] = field(default_factory=dict)
    taste: Taste | None = None


class Configured(Settings):
    """Base of every twiddler's settings, which have a `kind` and a `build(facts)` besides.

    Attributes:
        of_the_page: what it keeps is kept once, over what several rankings have put on one page.
    """

    of_the_page: ClassVar[bool] = False

    def attributes(self, facts: Facts) -> tuple[str, ...]:
        """Fields whose doc values the twiddler looks at."""
        return ()


class Stage(Protocol):
    """A twiddler at work on one list."""

    def feed(self, piece: Piece, wanted: int) -> Piece:
        """Takes the next hits of its input and gives the next hits of its output: those no later hit can change.

        Args:
            piece: may be empty, where nothing new is known but more is wanted.
            wanted: hits of its output, from the first on, after which it may stop until it is asked for more.
        """
        ...


class Twiddler(Protocol):
    """Rearranges a list as it is read."""

    stage: ClassVar[str]

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do in this request, for this user."""
        ...

    def reach(self, wanted: int) -> int:
        """How many hits of its input to read first for `wanted` hits of its output. A guess: no order depends on it."""
        ...

    def begin(self) -> Stage:
        """For one list, from its first hit on."""
        ...
