"""Vectors travel as half-precision numbers; whatever is none of ours says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_ranking.tastes.contract import Taste
from es_ranking.tastes.vectors import from_text, from_texts, pack, to_text, unpack


@given(st.lists(st.floats(-60_000, 60_000, width=16), min_size=1, max_size=64))
def test_what_half_precision_holds_survives(numbers: list[float]) -> None:
    assert from_text(to_text(pack(np.array(numbers)))).tolist() == numbers


def test_too_large_numbers_become_the_largest() -> None:
    assert unpack(pack(np.array([1e9, -1e9]))).tolist() == [65_504.0, -65_504.0]


def test_several_at_once_strangers_are_zeros() -> None:
    mine = to_text(pack(np.array([1.0, -2.0])))
    longer = to_text(pack(np.array([1.0, 2.0, 3.0])))
    broken = to_text(np.array([np.inf, 1.0], dtype="<f2").tobytes())
    found = from_texts([mine, None, longer, "no vector!", broken, ""], 2)
    assert found.tolist() == [[1.0, -2.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    assert from_texts([], 2).shape == (0, 2)


@pytest.mark.parametrize("text", [None, "", "AAA", "AAAA", "not base64"])
def test_no_vector_is_nothing(text: str | None) -> None:
    assert from_text(text).size in {0, 1}


def test_a_taste_is_a_mean_drawn_towards_the_middle() -> None:
    taste = Taste(6, np.array([12.0, -3.0], dtype=np.float32))
    assert taste.direction(0.0).tolist() == [2.0, -0.5]
    assert taste.direction(6.0).tolist() == [1.0, -0.25]
