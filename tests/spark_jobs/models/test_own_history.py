from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.models.own_history import RECENT_DAYS, OwnHistory, own_fields

purchases = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(17_000, 17_150)), max_size=40)
asked = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 5), st.integers(16_990, 17_200)), min_size=1, max_size=10)


@settings(max_examples=60, deadline=None)
@given(purchases, asked)
def test_counts_are_those_of_a_plain_loop_and_see_nothing_of_the_day_or_later(
    bought: list[tuple[int, int, int]], questions: list[tuple[int, int, int]]
) -> None:
    types = np.array([0, 0, 1, 1, 2, -1])
    columns = np.array(bought, dtype=np.int64).reshape(-1, 3).T
    levels = {"item": np.arange(6), "type": types}
    history = OwnHistory(user=columns[0], item=columns[1], day=columns[2], levels=levels)
    user, item, day = np.array(questions, dtype=np.int64).T
    found = history.before(user, item, day)
    assert list(found) == [field.name for field in own_fields(["item", "type"])]
    for n, (who, what, when) in enumerate(questions):
        mine = [(i, d) for u, i, d in bought if u == who and d < when]
        days = len({d for _, d in mine})
        assert found["own_days"][n] == days
        for level, value in levels.items():
            same = [d for i, d in mine if value[i] == value[what] >= 0]
            assert found[f"own_{level}"][n] == len(same)
            # Beyond the last known day time stands still at the horizon.
            now = min(when, history.first + history.span - 1)
            assert found[f"own_{level}_56d"][n] == sum(d >= now - RECENT_DAYS for d in same)
            assert found[f"own_{level}_rate"][n] == pytest.approx((len(same) + 0.05) / (days + 2))
            last = found[f"own_{level}_days"][n]
            assert np.isnan(last) if not same else last == now - max(same)


def test_nobody_bought_anything() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    history = OwnHistory(user=nothing, item=nothing, day=nothing, levels={"item": np.arange(2)})
    found = history.before(np.array([-1, 0]), np.array([0, 1]), np.array([17_000, 17_001]))
    assert found["own_item"].tolist() == [0.0, 0.0]
    assert np.isnan(found["own_item_days"]).all()
