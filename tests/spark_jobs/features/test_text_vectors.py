"""Vectors of texts: alike texts lie close, order and repetition change nothing, odd texts give zeros."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.features.settings import TextVectorSettings
from spark_jobs.features.text_vectors import text_vectors

SETTINGS = TextVectorSettings(width=4)
TEXTS = [
    "tomato soup tin", "chicken soup tin", "onion soup tin", "mushroom soup tin",
    "dog food dry", "dog food wet", "cat food dry", "cat food wet",
]  # fmt: skip


def test_alike_texts_lie_close() -> None:
    vectors = text_vectors(TEXTS, SETTINGS)
    assert vectors.shape == (8, 4)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    near = vectors @ vectors.T
    assert near[:4, :4].min() > near[:4, 4:].max()


def test_order_and_repetition_change_nothing() -> None:
    vectors = text_vectors(TEXTS, SETTINGS)
    order = [5, 0, 3, 3, 7, 2, 1, 4, 6, 0]
    assert text_vectors([TEXTS[at] for at in order], SETTINGS) == pytest.approx(vectors[order], abs=1e-6)
    assert np.array_equal(text_vectors(TEXTS, SETTINGS), vectors)


def test_texts_without_known_words_get_zeros() -> None:
    vectors = text_vectors([*TEXTS, "", "!!!"], SETTINGS)
    assert not vectors[8:].any()
    assert vectors[:8].any(axis=1).all()


@pytest.mark.parametrize("texts", [[], ["", "..."], ["soup"], ["soup", "soup"]])
def test_hardly_any_texts(texts: list[str]) -> None:
    vectors = text_vectors(texts, SETTINGS)
    assert vectors.shape == (len(texts), 4)
    assert np.isfinite(vectors).all()


def test_width_beyond_what_the_texts_fill_is_zero() -> None:
    vectors = text_vectors(TEXTS, SETTINGS, width=64)
    assert vectors.shape == (8, 64)
    assert not vectors[:, 8:].any()
