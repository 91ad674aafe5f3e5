"""The planner: hits in, order and moves out. Pure, so that sync, async, batch and a gateway can all use it.

It says how many more hits it needs, instead of fetching them: the caller asks the engine for a longer window and plans
again. The order of the first places never depends on how long the window was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from es_ranking.twiddlers.boosts import Boosts
from es_ranking.twiddlers.contract import STAGES, Entry, Hit, Strand, Stream, Twiddler
from es_ranking.twiddlers.downrank import Downrank
from es_ranking.twiddlers.spacing import Spacing
from segments.errors import ContractBroken


@dataclass(frozen=True, slots=True)
class Plan:
    """What a planner knows from the hits it was given.

    Args:
        order: the first places, `wanted` of them at most.
        needs: hits to read in all before every wanted place is known; 0 when they are.
        relaxed: limits given up within `order`.
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
        """How many hits to read first for `wanted` places: P + L, and a place for each pin.

        Where items are demoted, a quarter more than P at least: a list whose first places the user knows would else
        always be read twice.
        """
        window = wanted
        for twiddler in reversed(self.twiddlers):
            window = twiddler.reach(window)
        demoted = sum(len(one.by_item) for one in self.twiddlers if isinstance(one, Downrank))
        return max(window, wanted + min(demoted, wanted // 4))

    def plan(self, hits: Sequence[Hit], wanted: int, *, ended: bool, strands: Sequence[Strand] = ()) -> Plan:
        """Plans the first `wanted` places from the first hits of the base order.

        Args:
            hits: by score descending, unranked last, ties by item id.
            wanted: from + size of the page.
            ended: these are all hits of the query.
            strands: one for each boost that raises, as long as `hits` or ended; else only a whole list is known.

        Raises:
            ContractBroken: the hits are not in base order, or one is there twice.
        """
        entries = [Entry(hit, hit.score) for hit in hits]
        for before, after in pairwise(entries):
            if not before.key < after.key:
                raise ContractBroken(
                    f"hits are not in base order: {before.hit.item_id!r} before {after.hit.item_id!r}",
                    hint="sort by the rank field descending, missing last, then by a unique item id",
                )
        stream = Stream(entries, ended, strands=strands)
        stream.mark("base")
        short = 0
        for position, twiddler in enumerate(self.twiddlers):
            aim = wanted
            for later in reversed(self.twiddlers[position + 1 :]):
                aim = later.reach(aim)
            stream = twiddler.rearrange(stream, aim)
            if twiddler.stage != Spacing.stage:
                stream.mark(twiddler.stage)
            short = max(short, aim - len(stream.entries))
        complete = stream.ended or len(stream.entries) >= wanted
        # growing by a quarter at least keeps the number of requests logarithmic when a whole window is demoted
        needs = 0 if complete else len(hits) + max(short, len(hits) // 4, 10)
        return Plan(stream.entries[:wanted], needs, stream.relaxed, stream.ended and len(stream.entries) <= wanted)
