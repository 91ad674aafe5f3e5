from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.evaluation.sampled import place_clicks


def by_hand(label: list[int], score: list[int], visit: list[int], weight: list[float]) -> list[tuple[int, float]]:
    found = []
    for i in range(len(label)):
        if not label[i]:
            continue
        mine = [j for j in range(len(label)) if visit[j] == visit[i] and j != i]
        place = 1 + sum(weight[j] * ((score[j] > score[i]) + 0.5 * (score[j] == score[i])) for j in mine)
        others = [j for j in mine if not label[j]]
        total = sum(weight[j] for j in others)
        lower = sum(weight[j] * ((score[j] < score[i]) + 0.5 * (score[j] == score[i])) for j in others)
        found.append((i, place, lower / total if total else float("nan")))
    return found  # type: ignore[return-value]


ROW = st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3), st.sampled_from([1.0, 2.0, 10.0]))


@given(st.lists(ROW, max_size=25))
def test_places_are_those_counted_by_hand(rows: list[tuple[int, int, int, float]]) -> None:
    rows = [(label, score, visit, 1.0 if label else weight) for label, score, visit, weight in rows]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    found = place_clicks(*(np.array(c, dtype=t) for c, t in zip(columns, (float, float, int, float), strict=True)))
    wanted = {row: (place, beaten) for row, place, beaten in by_hand(*columns)}  # type: ignore[arg-type]
    assert set(found.row.tolist()) == set(wanted)
    for row, place, beaten in zip(found.row.tolist(), found.place, found.beaten, strict=True):
        assert abs(place - wanted[row][0]) <= 0.5
        assert beaten == pytest.approx(wanted[row][1], nan_ok=True)


def test_a_sample_places_as_the_whole_list_does() -> None:
    """One click among 2,000 items: of a tenth of them its place is found again, to within the sampling error."""
    random = np.random.default_rng(3)
    score = random.standard_normal(2000)
    label = np.zeros(2000)
    label[np.argsort(-score)[400]] = 1.0
    kept = (random.random(2000) < 0.1) | (label == 1)
    weight = np.where(label == 1, 1.0, 10.0)
    found = place_clicks(label[kept], score[kept], np.zeros(int(kept.sum()), dtype=np.int64), weight[kept])
    assert found.place[0] == pytest.approx(401, abs=4 * np.sqrt(400 * 0.9 / 0.1))
