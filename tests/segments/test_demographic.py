"""Demographic cells: small ones go to their parent, nobody is lost, nobody is counted twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from segments.families.demographic import DemographicSettings, cut_by_demographics

SETTINGS = DemographicSettings(attributes=("age", "income"), min_users=50)


def people(cells: dict[tuple[str | None, str | None], int]) -> dict[str, dict[str, str | None]]:
    each = [cell for cell, users in cells.items() for _ in range(users)]
    return {f"u{n}": {"age": age, "income": income} for n, (age, income) in enumerate(each)}


def test_a_small_cell_is_merged_into_its_parent() -> None:
    """The shape of a real retailer's table: a few large cells, many small ones, most users unknown."""
    cut = cut_by_demographics(
        people(
            {
                ("45-54", "50-74K"): 82,
                ("45-54", "35-49K"): 51,
                ("45-54", "Under 15K"): 30,
                ("45-54", "250K+"): 25,
                ("19-24", "15-24K"): 20,
                ("19-24", "35-49K"): 19,
                (None, None): 1661,
            }
        ),
        SETTINGS,
    )
    assert {segment.id: (segment.users, segment.parent) for segment in cut.segments} == {
        "d_45_54": (55, "all"),
        "d_45_54_35_49k": (51, "d_45_54"),
        "d_45_54_50_74k": (82, "d_45_54"),
        "d_unknown": (1661, "all"),
    }
    # 39 users of 19-24 are too few even together: `all` serves them
    assert len(cut.segment_of) == 82 + 51 + 55 + 1661
    assert all(segment.values == {"demographic": segment.id} for segment in cut.segments)


def test_an_unknown_part_at_the_end_is_the_parent() -> None:
    cut = cut_by_demographics(people({("35-44", None): 30, ("35-44", "1"): 60, ("35-44", ""): 20}), SETTINGS)
    assert {segment.id: segment.users for segment in cut.segments} == {"d_35_44": 50, "d_35_44_1": 60}


def test_merged_users_do_not_save_a_sibling() -> None:
    """A parent that is too small alone and large enough with its merged children stands."""
    cut = cut_by_demographics(people({("a", "1"): 25, ("a", "2"): 25, ("b", "1"): 49}), SETTINGS)
    assert {segment.id: segment.users for segment in cut.segments} == {"d_a": 50}


def test_nobody_at_all() -> None:
    assert cut_by_demographics({}, SETTINGS).segments == ()


VALUES = st.sampled_from([None, "", " ", "a", "A", "b c", "b-c", "unknown", "65+"])
WORLDS = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=60)


@settings(deadline=None)
@given(WORLDS, st.integers(1, 12), st.randoms())
def test_users_are_kept_once_and_cells_are_large(
    world: list[tuple[str | None, ...]], least: int, random: object
) -> None:
    settings = DemographicSettings(attributes=("x", "y", "z"), min_users=least)
    users = {f"u{n}": dict(zip("xyz", cell, strict=True)) for n, cell in enumerate(world)}
    cut = cut_by_demographics(users, settings)
    sizes = Counter(cut.segment_of.values())
    assert sizes == Counter({segment.id: segment.users for segment in cut.segments})
    assert set(cut.segment_of) <= set(users)
    assert all(size >= least for size in sizes.values())
    ids = {segment.id for segment in cut.segments}
    assert len(ids) == len(cut.segments)
    assert all(segment.parent in ids | {"all"} for segment in cut.segments)
    shuffled = list(users.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert cut_by_demographics(dict(shuffled), settings) == cut
    if least == 1:
        assert set(cut.segment_of) == set(users), "with no least size nobody falls back"
