"""Recommended on an event loop: searches are awaited, what else a request asks and computes runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic

from es_ranking.actions.contract import ActionStore
from es_ranking.engine.awaited import AwaitedSearches
from es_ranking.engine.contract import Engine
from es_ranking.experiments.live import Trials
from es_ranking.policy.live import Policies
from es_ranking.query.exposures import ExposureLog
from es_ranking.query.page import Page
from es_ranking.query.prepare import Request, Stores
from es_ranking.query.running import page_of, run_request
from es_ranking.query.steps import Ask, Steps, T
from es_ranking.tastes.contract import TasteStore
from segments.errors import RankingError


async def recommended_async(
    engine: Engine,
    searches: AwaitedSearches,
    request: Request,
    *,
    actions: ActionStore | None = None,
    tastes: TasteStore | None = None,
    policies: Policies | None = None,
    experiments: Trials | None = None,
    way: str = "auto",
    explain: bool = False,
    exposures: ExposureLog | None = None,
) -> Page:
    """The page that `recommended` gives, without holding up the loop or a thread while the engine searches.

    Args:
        engine: for what is asked once in a while: the generation, the user's segments, the policy.
        searches: of the same engine, `AwaitedSearches(engine.config)`.
        request: as `recommended` takes it.
        actions, tastes, policies, experiments, way, explain, exposures: as in `recommended`.

    Raises:
        RankingError: as `recommended`.
    """
    steps = run_request(engine, request, Stores(actions, tastes, policies, experiments), way)
    answered = await drive_async(searches, steps)
    return await asyncio.to_thread(page_of, engine, answered, explain=explain, exposures=exposures)


async def drive_async(searches: AwaitedSearches, steps: Steps[T]) -> T:
    """Runs steps to their end; what the engine refuses is raised where it was asked for."""
    move: Callable[[], Ask] = partial(next, steps)
    while True:
        step: Ask | _Ended[T] = await asyncio.to_thread(_moved, move)
        if isinstance(step, _Ended):
            return step.value
        try:
            move = partial(steps.send, await searches.msearch(step))
        except RankingError as error:
            move = partial(steps.throw, error)


@dataclass
class _Ended(Generic[T]):
    value: T


def _moved(move: Callable[[], Ask]) -> Ask | _Ended[T]:
    """A thread cannot hand over a StopIteration."""
    try:
        return move()
    except StopIteration as end:
        return _Ended(end.value)
