"""Draws depend on the week, the variant, the segment and the item, and on nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from segments.errors import UsageError
from segments.hashing import hash_strings
from spark_jobs.bandits.keys import draw_uniforms, iso_week, replicate_generator

ITEMS = hash_strings([f"i{n}" for n in range(5000)])


def test_order_and_partition_do_not_matter() -> None:
    whole = draw_uniforms("2017-W48", "B", "all", ITEMS)
    shuffled = np.random.default_rng(1).permutation(ITEMS.size)
    assert (draw_uniforms("2017-W48", "B", "all", ITEMS[shuffled]) == whole[shuffled]).all()
    assert (
        np.concatenate([draw_uniforms("2017-W48", "B", "all", part) for part in np.array_split(ITEMS, 7)]) == whole
    ).all()


@pytest.mark.parametrize("other", [("2017-W49", "B", "all"), ("2017-W48", "B1", "all"), ("2017-W48", "B", "d_20")])
def test_another_key_gives_unrelated_numbers(other: tuple[str, str, str]) -> None:
    one, two = draw_uniforms("2017-W48", "B", "all", ITEMS), draw_uniforms(*other, ITEMS)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.05
    assert ((one > 0) & (one < 1)).all()
    assert one.mean() == pytest.approx(0.5, abs=0.02)


def test_known_numbers_never_change() -> None:
    """Published ranks hang on them."""
    assert draw_uniforms("2017-W48", "B2", "all", hash_strings(["820165"]))[0] == pytest.approx(
        0.5445458013481392, abs=1e-15
    )


def test_a_week_runs_from_monday_to_sunday_in_utc() -> None:
    monday = datetime(2017, 11, 27, tzinfo=UTC)
    assert {iso_week(monday + timedelta(days=d)) for d in range(7)} == {"2017-W48"}
    assert iso_week(monday + timedelta(days=7)) == "2017-W49"
    assert iso_week(datetime(2018, 1, 1, tzinfo=UTC)) == "2018-W01"
    with pytest.raises(UsageError, match="time zone"):
        iso_week(datetime(2017, 11, 27))


def test_replicates_are_keyed_as_well() -> None:
    first, again = (replicate_generator("2017-W48", "B", "all").random(3) for _ in range(2))
    assert (first == again).all()
    assert (first != replicate_generator("2017-W48", "B", "d_20").random(3)).all()
