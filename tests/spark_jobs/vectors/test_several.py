"""Several vectors of an item become one, number by number; gaps do not count."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.errors import ContractBroken
from spark_jobs.vectors.several import one_each, pooled, rows_of

NAN = float("nan")


def test_mean_and_max_over_an_items_vectors() -> None:
    column = pa.array([[1.0, 2.0, 3.0, 6.0], None, [5.0, 5.0], []], pa.list_(pa.float32()))
    mean, most = one_each(column, "mean", each=2), one_each(column, "max", each=2)
    assert np.array_equal(mean, np.array([[2.0, 4.0], [NAN, NAN], [5.0, 5.0], [NAN, NAN]]), equal_nan=True)
    assert np.array_equal(most, np.array([[3.0, 6.0], [NAN, NAN], [5.0, 5.0], [NAN, NAN]]), equal_nan=True)


def test_gaps_do_not_count() -> None:
    rows = np.array([[1.0, NAN], [3.0, NAN], [np.inf, 4.0]], dtype=np.float32)
    assert np.array_equal(pooled(rows, np.array([3]), "mean"), np.array([[2.0, 4.0]]))
    assert np.array_equal(pooled(rows[:2], np.array([2]), "max"), np.array([[3.0, NAN]]), equal_nan=True)


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=8), st.integers(1, 3), st.sampled_from(["mean", "max"]))
def test_equal_to_item_by_item(counts: list[int], width: int, how: str) -> None:
    rows = np.random.default_rng(sum(counts)).standard_normal((sum(counts), width)).astype(np.float32)
    found = pooled(rows, np.array(counts, dtype=np.int64), how)  # type: ignore[arg-type]
    begin = 0
    for count, told in zip(counts, found, strict=True):
        mine = rows[begin : begin + count]
        begin += count
        if not count:
            assert np.isnan(told).all()
        else:
            assert np.allclose(told, mine.mean(axis=0) if how == "mean" else mine.max(axis=0), atol=1e-6)


def test_vectors_of_different_widths_are_refused() -> None:
    column = pa.array([[1.0, 2.0], [1.0, 2.0, 3.0]])
    with pytest.raises(ContractBroken, match="2, 3 numbers"):
        rows_of(column)
    with pytest.raises(ContractBroken, match="are not of 2"):
        rows_of(column, each=2)
    assert rows_of(pa.array([None, []], pa.list_(pa.float64())))[0].shape == (0, 0)
