"""Team draft: one list of two, fair to both, the same whatever follows."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.assign import SLOTS, Experiment
from segments.errors import UsageError
from segments.teams import team_draft, teams_of

ITEMS = st.integers(1, 12).flatmap(lambda n: st.permutations(range(n)))
SEEDS = st.integers(0, 2**32)


@st.composite
def _two(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Two rankings that share some items."""
    items = draw(st.integers(1, 12))
    cut = st.integers(0, items)
    return tuple(draw(st.permutations(range(items)))[draw(cut) :] for _ in range(2))  # type: ignore[return-value]


@given(_two(), SEEDS)
def test_each_item_once_and_every_team_by_its_own_order(two: tuple[list[int], list[int]], seed: int) -> None:
    drafted = team_draft(*two, seed=seed)
    items = [item for item, _ in drafted]
    assert len(set(items)) == len(items)
    assert set(items) == {*two[0], *two[1]}
    for team, ranking in enumerate(two):
        picks = [item for item, by in drafted if by == team]
        assert picks == sorted(picks, key=ranking.index), "the best that was not there yet"
    both = [item for item, by in drafted if by is None]
    assert all(item in two[0] and item in two[1] for item in both)


@given(_two(), SEEDS)
def test_teams_pick_in_turn_as_long_as_both_have_something(two: tuple[list[int], list[int]], seed: int) -> None:
    drafted = team_draft(*two, seed=seed)
    there: set[int] = set()
    lead = 0
    for item, team in drafted:
        if all(set(ranking) - there for ranking in two):
            lead += {0: 1, 1: -1, None: 0}[team]
            assert abs(lead) <= 1
        there.add(item)


@given(_two(), SEEDS, st.integers(0, 12))
def test_what_follows_changes_nothing(two: tuple[list[int], list[int]], seed: int, known: int) -> None:
    whole = team_draft(*two, seed=seed)
    # a ranking that has ended within these places is known to have ended
    assert team_draft(two[0][:known], two[1][:known], seed=seed)[:known] == whole[:known]


@given(ITEMS, SEEDS)
def test_two_that_agree_are_told_apart_by_nothing(ranking: list[int], seed: int) -> None:
    assert team_draft(ranking, ranking, seed=seed) == [(item, None) for item in ranking]


@given(ITEMS, st.data(), SEEDS)
def test_what_both_lower_is_never_raised(first: list[int], data: st.DataObject, seed: int) -> None:
    second = data.draw(st.permutations(first))
    item = data.draw(st.sampled_from(first))

    def lowered(ranking: list[int]) -> list[int]:
        others = [one for one in ranking if one != item]
        return [*others[: (at := data.draw(st.integers(ranking.index(item), len(others))))], item, *others[at:]]

    before = [one for one, _ in team_draft(first, second, seed=seed)]
    after = [one for one, _ in team_draft(lowered(first), lowered(second), seed=seed)]
    assert after.index(item) >= before.index(item)


def test_a_coin_decides_who_picks_first() -> None:
    first = Counter(team_draft("abc", "xyz", seed=seed)[0] for seed in range(4000))
    assert set(first) == {("a", 0), ("x", 1)}
    assert abs(first["a", 0] - 2000) < 190, "three standard deviations"
    lists = {tuple(item for item, _ in team_draft("abc", "xyz", seed=seed)) for seed in range(200)}
    assert len(lists) == 8, "a coin a round"


@pytest.mark.parametrize("variant", ["A+A", "A+B+C", "A+", "+", ""])
def test_what_is_no_pair(variant: str) -> None:
    with pytest.raises(UsageError, match="not two variants"):
        teams_of(variant)
    with pytest.raises(UsageError, match="not two variants"):
        Experiment.of({"name": "x", "salt": "x", "control": "A", "owners": (variant,) * SLOTS}, where="x")


def test_the_control_is_one_variant() -> None:
    with pytest.raises(UsageError, match="the control is one variant"):
        Experiment.of({"name": "x", "salt": "x", "control": "A+B", "owners": ("A+B",) * SLOTS}, where="x")
