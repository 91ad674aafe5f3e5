"""Crossed segments: pairs that enough users share; the others fall back."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.catalogue import Cut, Segment
from segments.errors import UsageError
from segments.families.crossed import CrossedSettings, cut_by_crossing


def cut(family: str, segment_of: dict[str, str]) -> Cut:
    sizes = Counter(segment_of.values())
    return Cut(
        tuple(Segment(id=s, family=family, values={family: s}, users=n, label=s.upper()) for s, n in sizes.items()),
        segment_of,
    )


SETTINGS = CrossedSettings(cross=("demographic", "brand"), min_users=2)


def test_pairs_carry_both_values_and_small_ones_are_left_out() -> None:
    cuts = {
        "demographic": cut("demographic", {"a": "d_x", "b": "d_x", "c": "d_x", "d": "d_y"}),
        "brand": cut("brand", {"a": "b_00", "b": "b_00", "c": "b_01", "e": "b_00"}),
    }
    crossed = cut_by_crossing(cuts, SETTINGS, family="both")
    assert crossed.segment_of == {"a": "d_x__b_00", "b": "d_x__b_00"}
    (segment,) = crossed.segments
    assert segment.values == {"demographic": "d_x", "brand": "b_00"}
    assert (segment.family, segment.parent, segment.users, segment.label) == ("both", "d_x", 2, "D_X × B_00")


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UsageError, match="brand"):
        cut_by_crossing({"demographic": cut("demographic", {})}, SETTINGS, family="both")


GROUPS = st.dictionaries(st.integers(0, 40).map(str), st.sampled_from(["p", "q", "r"]), max_size=40)


@settings(deadline=None)
@given(GROUPS, GROUPS, st.integers(1, 6))
def test_the_pair_is_the_users_own_and_large_enough(first: dict[str, str], second: dict[str, str], least: int) -> None:
    cuts = {"one": cut("one", {u: f"a_{v}" for u, v in first.items()}),
            "two": cut("two", {u: f"b_{v}" for u, v in second.items()})}  # fmt: skip
    crossed = cut_by_crossing(cuts, CrossedSettings(cross=("one", "two"), min_users=least), family="both")
    pairs = Counter((first[user], second[user]) for user in first.keys() & second.keys())
    expected = {
        user: f"a_{first[user]}__b_{second[user]}"
        for user in first.keys() & second.keys()
        if pairs[first[user], second[user]] >= least
    }
    assert crossed.segment_of == expected
    assert {s.id: s.users for s in crossed.segments} == Counter(expected.values())
