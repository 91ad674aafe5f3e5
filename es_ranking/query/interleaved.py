"""Two variants' lists, each planned for itself as far as its own twiddlers go, drafted into one; its pins and limits
are kept once, over what came of it.

So a gap holds between picks of different teams, too, and a pin stands at its slot. A page is planned from the first
place on: one far down costs as much as all before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.query.planning import TOO_DEEP, Kept, Reading, read_plan, twiddlers_of
from es_ranking.query.prepare import Ready
from es_ranking.query.steps import Steps, together
from es_ranking.twiddlers.contract import Entry, Piece
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.settings import Surface
from segments.errors import UsageError
from segments.teams import team_draft

STAGE = "interleave"


def read_drafted(engine: Engine, ready: Ready, surface: Surface, planner: Planner, *, start: int) -> Steps[Reading]:
    """As `read_plan`, for a request that is served two variants.

    Args:
        planner: of the first variant; what it keeps over a page holds for the page.

    Raises:
        UsageError: the page lies deeper than the engine's window.
        GenerationSwitched: see `read_plan`.
    """
    assert ready.versus is not None
    own, of_the_page = planner.parted()
    theirs = yield from twiddlers_of(ready.versus, surface)
    sides = [(ready, own), (ready.versus, Planner(theirs.twiddlers).parted()[0])]
    names = [side.served.variant for side, _ in sides]
    kept: list[Kept | None] = [None, None]
    planning = of_the_page.begin()
    wanted = ready.asked.start + ready.asked.size
    goal = min(of_the_page.window(wanted), surface.max_window)
    response: dict[str, Any] = {}
    requests = 0
    while True:
        readings = yield from together([
            read_plan(
                engine, replace(side, asked=replace(side.asked, start=0, size=goal)), surface, planner, whole=False,
                start=0, kept=before,
            )
            for (side, planner), before in zip(sides, kept, strict=True)
        ])  # fmt: skip
        requests += max(reading.requests for reading in readings)
        response = response or readings[0].response
        kept = [reading.kept for reading in readings]
        ended = all(reading.plan.ended for reading in readings)
        entries = _drafted([reading.plan.order for reading in readings], names, ready.coins)
        known = entries[planning.read : None if ended else goal]
        planning.go_on(STAGE, Piece(known, ended), wanted)
        plan = planning.plan(start, wanted)
        if not plan.needs:
            return Reading(plan, response, readings[0].kept, requests=requests)
        if goal >= surface.max_window:
            raise UsageError(TOO_DEEP.format(surface.max_window), where="query body", hint="show fewer pages")
        goal = min(plan.needs, surface.max_window)


def _drafted(lists: list[list[Entry]], names: list[str], seed: int) -> list[Entry]:
    """The entries of both lists in the order of the draft, each as its team's list has it."""
    by_item = [{entry.hit.item_id: entry for entry in entries} for entries in lists]
    order = []
    for item, team in team_draft(*(list(one) for one in by_item), seed=seed):
        entry = by_item[team or 0][item]
        entry.team = None if team is None else names[team]
        entry.reasons[STAGE] = f"picked for {entry.team}" if entry.team else f"{' and '.join(names)} have it next"
        order.append(entry)
    return order
