"""The planner: hits in, order and moves out. Pure, so that sync, async, batch and a gateway can all use it.

It says how many more hits it needs, instead of fetching them: the caller asks the engine for a longer window and plans
again. The order of the first places never depends on how long the window was.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from es_ranking.twiddlers.boosts import Boosts
from es_ranking.twiddlers.contract import OF_THE_PAGE, STAGES, Entry, Hit, Piece, Strand, Twiddler
from es_ranking.twiddlers.spacing import Spacing
from segments.errors import ContractBroken


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known from the hits that were read.

    Args:
        order: the places asked for, as far as they are known.
        needs: hits to read in all before every one of them is known; 0 when they are.
        relaxed: limits given up from the first place of the list to the last one asked for.
        ended: nothing follows `order` in the list.
    """

    order: list[Entry]
    needs: int
    relaxed: int
    ended: bool

    @property
    def certificate(self) -> str:
        """`exact` when no limit was given up up to here, else `relaxed(n)`."""
        return f"relaxed({self.relaxed})" if self.relaxed else "exact"


class Planner:
    """Runs twiddlers in the fixed order of stages, whatever order they are given in. One greedy keeps all limits."""

    def __init__(self, twiddlers: Sequence[Twiddler]) -> None:
        ordered = sorted(twiddlers, key=lambda twiddler: STAGES.index(twiddler.stage))
        spacing = [twiddler for twiddler in ordered if isinstance(twiddler, Spacing)]
        self.twiddlers = [twiddler for twiddler in ordered if not isinstance(twiddler, Spacing)]
        # pins only reserve their slots; somebody has to fill in around them
        if spacing or any(twiddler.stage == "pins" for twiddler in ordered):
            self.twiddlers.append(Spacing.joined(spacing))

    @property
    def boosts(self) -> Boosts | None:
        """Those whose raised hits may stand further down than a window: each rule that raises needs a strand."""
        return next((one for one in self.twiddlers if isinstance(one, Boosts)), None)

    def without_boosts(self) -> Planner:
        """For hits whose order has the boosts in it."""
        return Planner([one for one in self.twiddlers if one is not self.boosts])

    def window(self, wanted: int) -> int:
        """How many hits to read first for `wanted` places: mostly enough, and more is read where it is not."""
        return aim(wanted, self.twiddlers)

    def parted(self) -> tuple[Planner, Planner]:
        """What each of several rankings does to its own list, and what is kept over the list they make together."""
        own = [one for one in self.twiddlers if one.stage not in OF_THE_PAGE]
        return Planner(own), Planner([one for one in self.twiddlers if one.stage in OF_THE_PAGE])

    def begin(self) -> Planning:
        """For one list, from its first hit on."""
        return Planning(self.twiddlers)

    def plan(self, hits: Sequence[Hit], wanted: int, *, ended: bool, strands: Sequence[Strand] = ()) -> Plan:
        """Plans the first `wanted` places from the first hits of the base order, all at once; see `Planning`."""
        planning = self.begin()
        planning.feed(hits, wanted, ended=ended, strands=strands)
        return planning.plan(0, wanted)


class Planning:
    """A list being planned: fed as it is read, asked for its places as they are wanted, gone on with where it ended."""

    def __init__(self, twiddlers: Sequence[Twiddler]) -> None:
        self.twiddlers = twiddlers
        self.stages = [twiddler.begin() for twiddler in twiddlers]
        self.read = 0
        self.ended = False
        # how many hits each stage has given
        self.given = [0] * len(twiddlers)
        self.last: Hit | None = None
        self.places = dict.fromkeys(("base", *(twiddler.stage for twiddler in twiddlers)), 0)
        # the places from `first` on; those before are forgotten
        self.order: list[Entry] = []
        self.first = 0
        self.relaxed: list[int] = []

    def feed(self, hits: Sequence[Hit], wanted: int, *, ended: bool, strands: Sequence[Strand] = ()) -> None:
        """Takes the next hits and settles what can be, up to `wanted` places from the first.

        Args:
            hits: by score descending, unranked last, ties by item id; those after the ones fed before, perhaps none.
            wanted: from + size of the page.
            ended: these are the last hits of the query.
            strands: one for each boost that raises, with as much of it as of the list; else only a whole list is known.

        Raises:
            ContractBroken: the hits are not in base order, or one is there twice.
        """
        entries = [Entry(hit, hit.score) for hit in hits]
        self._check(entries)
        self.go_on("base", Piece(entries, ended, strands=strands), wanted)

    def go_on(self, after: str, piece: Piece, wanted: int) -> None:
        """Takes the next entries as a stage before has left them."""
        self.read += len(piece.entries)
        self.places.setdefault(after, 0)
        self._mark(after, piece)
        for position, (twiddler, stage) in enumerate(zip(self.twiddlers, self.stages, strict=True)):
            piece = stage.feed(piece, aim(wanted, self.twiddlers[position + 1 :]))
            self.given[position] += len(piece.entries)
            if twiddler.stage != Spacing.stage:
                self._mark(twiddler.stage, piece)
            self.relaxed += piece.relaxed
        self.order += piece.entries
        self.ended = piece.ended

    def plan(self, start: int, wanted: int) -> Plan:
        """The places from `start` to `wanted`, as far as they are known; places before a `start` given earlier are
        forgotten."""
        # not more than are known: a page may begin further down than has been read yet
        forgotten = max(0, min(start - self.first, len(self.order)))
        del self.order[:forgotten]
        self.first += forgotten
        known = self.first + len(self.order)
        needs = 0
        if known < wanted and not self.ended:
            aims = (aim(wanted, self.twiddlers[position + 1 :]) for position in range(len(self.twiddlers)))
            short = max((goal - given for goal, given in zip(aims, self.given, strict=True)), default=0)
            # growing by a quarter at least keeps the number of requests logarithmic when a whole window is demoted
            needs = self.read + max(short, self.read // 4, 10)
        relaxed = bisect_left(self.relaxed, wanted)
        return Plan(self.order[: wanted - self.first], needs, relaxed, self.ended and known <= wanted)

    def _check(self, entries: Sequence[Entry]) -> None:
        keys = [entry.key for entry in entries]
        if self.last is not None and entries:
            keys.insert(0, Entry(self.last, self.last.score).key)
        for before, after in pairwise(keys):
            if not before < after:
                raise ContractBroken(
                    f"hits are not in base order: {before[-1]!r} before {after[-1]!r}",
                    hint="sort by the rank field descending, missing last, then by a unique item id",
                )
        self.last = entries[-1].hit if entries else self.last

    def _mark(self, stage: str, piece: Piece) -> None:
        """Writes down every entry's place after a stage, the reserved slots counted in."""
        place = self.places[stage]
        for entry in piece.entries:
            while place in piece.slots:
                place += 1
            place += 1
            entry.places[stage] = place
        self.places[stage] = place


def aim(wanted: int, twiddlers: Sequence[Twiddler]) -> int:
    """How many hits to give to some twiddlers, for `wanted` of them at their end."""
    for twiddler in reversed(twiddlers):
        wanted = twiddler.reach(wanted)
    return wanted
