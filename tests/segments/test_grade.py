"""Member grades: thresholds are inclusive, small grades join a neighbour, nobody is lost."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.errors import UsageError
from segments.families.grade import GradeSettings, cut_by_grade

AMOUNTS = GradeSettings(amounts=(100.0, 1000.0), min_users=1)


def test_a_grade_begins_at_its_amount() -> None:
    cut = cut_by_grade({"a": 99.99, "b": 100.0, "c": 999.0, "d": 1000.0, "e": math.nan}, AMOUNTS)
    assert cut.segment_of == {"a": "g_bronze", "b": "g_silver", "c": "g_silver", "d": "g_gold"}
    assert [segment.label for segment in cut.segments] == [
        "bronze",
        "silver: spending ≥ 100.00",
        "gold: spending ≥ 1,000.00",
    ]
    assert all(segment.parent == "all" for segment in cut.segments)


def test_quantiles_are_of_the_users_who_have_the_number() -> None:
    settings = GradeSettings(quantiles=(0.5, 0.85), min_users=1)
    values = {f"u{n}": float(n) for n in range(100)} | {"none": math.nan}
    cut = cut_by_grade(values, settings)
    assert {segment.id: segment.users for segment in cut.segments} == {"g_bronze": 50, "g_silver": 35, "g_gold": 15}
    assert "none" not in cut.segment_of


def test_equal_groups_where_nothing_is_said() -> None:
    cut = cut_by_grade({f"u{n}": float(n) for n in range(90)}, GradeSettings(min_users=1))
    assert [segment.users for segment in cut.segments] == [30, 30, 30]


def test_a_small_grade_joins_the_one_below_and_the_lowest_the_one_above() -> None:
    settings = GradeSettings(amounts=(10.0, 20.0), min_users=3)
    few_gold = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 11.0, "e": 12.0, "f": 13.0, "g": 25.0}
    assert {s.id: s.users for s in cut_by_grade(few_gold, settings).segments} == {"g_bronze": 3, "g_silver": 4}
    few_bronze = {"a": 1.0, "d": 11.0, "e": 12.0, "f": 13.0}
    assert {s.id: s.users for s in cut_by_grade(few_bronze, settings).segments} == {"g_silver": 4}
    assert cut_by_grade({"a": 1.0}, settings).segment_of == {"a": "g_bronze"}, "the only grade stands, small as it is"
    assert cut_by_grade({}, settings).segments == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantiles": (0.5, 0.9), "amounts": (1, 2)},
        {"quantiles": (0.5,)},
        {"amounts": (2, 1)},
        {"quantiles": (0.5, 1.0)},
        {"names": ()},
    ],
)
def test_thresholds_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        GradeSettings.of(wrong)


NUMBERS = st.dictionaries(st.text(max_size=3), st.sampled_from([0.0, 1.0, 5.0, 5.0, 9.0, math.nan]), max_size=40)


@settings(deadline=None)
@given(NUMBERS, st.integers(1, 8), st.sampled_from([(), (2.0, 6.0)]))
def test_everyone_with_the_number_has_one_grade_and_order_holds(
    values: dict[str, float], least: int, amounts: tuple[float, ...]
) -> None:
    cut = cut_by_grade(values, GradeSettings(amounts=amounts, min_users=least))
    assert set(cut.segment_of) == {user for user, value in values.items() if not math.isnan(value)}
    sizes = Counter(cut.segment_of.values())
    assert sizes == Counter({segment.id: segment.users for segment in cut.segments})
    assert len(sizes) <= 1 or min(sizes.values()) >= least
    rank = {"g_bronze": 0, "g_silver": 1, "g_gold": 2}
    by_value = sorted(cut.segment_of, key=lambda user: values[user])
    assert [rank[cut.segment_of[user]] for user in by_value] == sorted(rank[s] for s in cut.segment_of.values())
