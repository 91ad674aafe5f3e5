"""Interleaving by team draft: two variants share one list, and every place says whose pick it was.

A user sees both rankings at once, so what he prefers is not drowned in how users differ. Radlinski, Kurup and Joachims,
CIKM 2008: a coin decides who picks first, the other picks next, each the best of its ranking that is not there yet.
What both would pick next, with the same number of picks behind them, is nobody's: a click there says nothing about
either (as Airbnb counts competitive pairs only: Zhang et al., arXiv 2508.00751, 2025).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from segments.errors import UsageError
from segments.hashing import hash64

VERSUS = "+"
T = TypeVar("T", bound=Hashable)


def teams_of(variant: str) -> tuple[str, ...]:
    """The variants whose lists are drafted from: one, or two with a `+` between them.

    Raises:
        UsageError: other than two, or one against itself.

    >>> teams_of("B2"), teams_of("A+B2")
    (('B2',), ('A', 'B2'))
    """
    teams = tuple(variant.split(VERSUS))
    if len(teams) > 2 or len(set(teams)) < len(teams) or not all(teams):
        raise UsageError(f"not two variants: {variant!r}", hint=f"two different ones, like A{VERSUS}B2")
    return teams


def refuse_pair(variant: str) -> None:
    """For names of variants themselves.

    Raises:
        ValueError: the name would be read as two variants.
    """
    if VERSUS in variant:
        raise ValueError(f"variant {variant!r}: {VERSUS!r} stands between two that are interleaved")


def team_draft(first: Sequence[T], second: Sequence[T], *, seed: int) -> list[tuple[T, int | None]]:
    """Both rankings as one: each item once, with the team that picked it (0, 1; None: nobody's).

    Rankings may be the first places of longer ones: as many places as both have (all, of one that has ended) never
    change when more of them are known.

    Args:
        first, second: each without repetition.
        seed: of the coins; one for a list, on all its pages.

    >>> team_draft("abc", "adb", seed=1)
    [('a', None), ('b', 0), ('d', 1), ('c', 0)]
    """
    rankings, at, there = (first, second), [0, 0], set[T]()
    drafted: list[tuple[T, int | None]] = []
    turn: int | None = None
    rounds = 0
    while True:
        for team, ranking in enumerate(rankings):
            while at[team] < len(ranking) and ranking[at[team]] in there:
                at[team] += 1
        has = [at[team] < len(ranking) for team, ranking in enumerate(rankings)]
        if not any(has):
            return drafted
        picker: int | None
        if turn is None and all(has) and first[at[0]] == second[at[1]]:
            picker, team = None, 0
        elif turn is None:
            picker = hash64("coin", str(seed), str(rounds)) & 1
            rounds += 1
            picker = picker if has[picker] else 1 - picker
            team, turn = picker, 1 - picker
        else:
            picker = turn if has[turn] else 1 - turn
            team, turn = picker, None
        item = rankings[team][at[team]]
        there.add(item)
        drafted.append((item, picker))
