"""Segment ids: safe as part of a field name, and never the same for two segments."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.errors import UsageError
from segments.naming import SEGMENT_ID, checked, segment_ids, slug


@pytest.mark.parametrize("wrong", ["", "_a", "A", "a b", "a.b", "é", "a" * 121])
def test_unsafe_ids_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        checked(wrong)
    assert checked("d_35_44__b_07") == "d_35_44__b_07"


@settings(deadline=None)
@given(st.text())
def test_a_slug_always_fits_and_never_holds_the_joint(text: str) -> None:
    assert SEGMENT_ID.fullmatch(slug(text))
    assert "__" not in slug(text)


@settings(deadline=None)
@given(st.sets(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=20))
def test_ids_of_different_cells_differ(cells: set[tuple[str, str]]) -> None:
    ids = segment_ids("d", cells)
    assert set(ids) == cells
    assert len(set(ids.values())) == len(cells)


def test_cells_that_read_alike_are_told_apart_whatever_else_there_is() -> None:
    together = segment_ids("d", [("a b",), ("a-b",), ("c",)])
    assert together[("c",)] == "d_c"
    assert together[("a b",)] != together[("a-b",)]
    assert together == segment_ids("d", [("a-b",), ("c",), ("a b",)])
