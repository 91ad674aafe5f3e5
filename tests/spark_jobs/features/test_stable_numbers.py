"""Groups keep their numbers by the users they share."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.features.stable_numbers import last_nights_numbers, stable_numbers


def test_a_group_keeps_the_number_it_shares_most_users_with() -> None:
    before = {"a": 5, "b": 5, "c": 2, "d": 2}
    assert stable_numbers(["a", "b", "c", "d", "e"], np.array([0, 0, 1, 1, 2]), before).tolist() == [5, 5, 2, 2, 6]
    assert stable_numbers(["x", "y"], np.array([0, 1]), before).tolist() == [6, 7], "new people, numbers never used"
    assert stable_numbers(["x", "y"], np.array([0, 1]), {}).tolist() == [0, 1]


def test_an_old_number_gives_way_to_a_group_of_last_night() -> None:
    # Tonight's group 0 was last night's 3; tonight's old snapshots also had a group 3, and one called 7.
    renamed = last_nights_numbers(["a", "b"], np.array([0, 0]), {"a": 3, "b": 3}, others=[0, 3, 7])
    assert renamed[0] == 3
    assert renamed[7] == 7
    assert renamed[3] not in (0, 3, 7)


GROUPS = st.dictionaries(st.integers(0, 30).map(str), st.integers(0, 5), max_size=30)


@given(GROUPS, GROUPS, st.sets(st.integers(0, 9)))
def test_no_two_numbers_become_one_and_a_whole_copy_keeps_all(
    now: dict[str, int], before: dict[str, int], others: set[int]
) -> None:
    people, numbers = (
        list(now),
        np.unique(list(now.values()) or [0], return_inverse=True)[1][: len(now)].astype(np.int64),
    )
    renamed = last_nights_numbers(people, numbers, before, others=others)
    assert renamed.keys() == others | set(numbers.tolist())
    assert len(set(renamed.values())) == len(renamed)
    same = dict(zip(people, numbers.tolist(), strict=True))
    kept = last_nights_numbers(people, numbers, same, others=others)
    assert all(kept[number] == number for number in kept)
