"""A search as steps: it yields what it asks next and is sent the answers, so that the same code runs alone, together
with others in one request, or awaited."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from es_ranking.engine.contract import Answer, Body, Engine
from segments.errors import EngineUnreachable, RankingError

T = TypeVar("T")
Ask = Sequence[tuple[str, Body]]
"""Searches that can be answered at once: (index, body)."""
Steps = Generator[Ask, list[Answer], T]
"""Yields an `Ask`, is sent an answer for each of its searches, returns what came of them."""


def together(several: Sequence[Steps[T]]) -> Steps[list[T]]:
    """Several as one: what they ask at a time is asked at once; the trouble of one is that of all."""
    done: dict[int, T] = {}
    asks: dict[int, Ask] = {}

    for place, steps in enumerate(several):
        _advance(place, partial(next, steps), asks, done)
    while asks:
        now, asks = asks, {}
        found = iter((yield [search for ask in now.values() for search in ask]))
        for place, ask in now.items():
            _advance(place, partial(several[place].send, list(islice(found, len(ask)))), asks, done)
    return [done[place] for place in range(len(several))]


def _advance(place: int, move: Callable[[], Ask], asks: dict[int, Ask], done: dict[int, T]) -> None:
    """One step of one: it asks something, or is done."""
    try:
        asks[place] = move()
    except StopIteration as end:
        done[place] = end.value


def answers(engine: Engine, ask: Ask) -> list[Answer]:
    """One search, or several as one request."""
    if len(ask) == 1:
        ((index, body),) = ask
        return [engine.search(index, body)]
    return engine.msearch(ask)


def drive_together(engine: Engine, several: Sequence[Steps[T]]) -> list[T | RankingError]:
    """Runs several to their ends in step: what they ask at a time goes as one request.

    Returns:
        For each what came of it, or what went wrong: the others' trouble is not its own.
    """
    done: dict[int, T | RankingError] = {}
    asks: dict[int, Ask] = {}

    def advance(place: int, move: Callable[[], Ask]) -> None:
        try:
            _advance(place, move, asks, done)
        except RankingError as error:
            done[place] = error

    for place, steps in enumerate(several):
        advance(place, partial(next, steps))
    while asks:
        now, asks = asks, {}
        for place, found in _answered(engine, now).items():
            steps = several[place]
            if isinstance(found, RankingError):
                advance(place, partial(steps.throw, found))
            else:
                advance(place, partial(steps.send, found))
    return [done[place] for place in range(len(several))]


def _answered(engine: Engine, asks: Mapping[int, Ask]) -> dict[int, list[Answer] | RankingError]:
    try:
        found = iter(answers(engine, [search for ask in asks.values() for search in ask]))
        return {place: list(islice(found, len(ask))) for place, ask in asks.items()}
    except RankingError as error:
        # an engine that does not answer would be waited for once a list
        if len(asks) == 1 or isinstance(error, EngineUnreachable):
            return dict.fromkeys(asks, error)
    # one of them was refused, which the engine does not tell apart: each by itself
    return {place: told for place, ask in asks.items() for told in _answered(engine, {place: ask}).values()}


def drive(engine: Engine, steps: Steps[T]) -> T:
    """Runs steps to their end; what the engine refuses is raised where it was asked for."""
    (found,) = drive_together(engine, [steps])
    if isinstance(found, RankingError):
        raise found
    return found
