"""Planted people: the space finds the directions in which they differ, and a mean of clicks tells who likes what."""

from __future__ import annotations

import numpy as np
import pytest

from segments.errors import Refused
from spark_jobs.models.taste_vectors import STRENGTH, taste_vectors

PEOPLE, ITEMS, WIDTH = 300, 400, 6


def planted(seed: int, *, clicks: int, apart: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(vectors, item, user, taste): each person clicks by exp(<taste, vector>); the first two directions matter."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((ITEMS, WIDTH))
    taste = np.zeros((PEOPLE, WIDTH))
    taste[:, :2] = apart * random.standard_normal((PEOPLE, 2))
    logits = taste @ vectors.T
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    item = np.concatenate([random.choice(ITEMS, clicks, p=row / row.sum()) for row in chance])
    # what a tower gives is turned, stretched and shifted
    mixed = vectors @ random.standard_normal((WIDTH, WIDTH)) * 3.0 + 7.0
    return mixed.astype(np.float32), item, np.repeat(np.arange(PEOPLE), clicks), taste @ vectors.T


def liking(space: np.ndarray, item: np.ndarray, user: np.ndarray) -> np.ndarray:
    """(people, items), as the re-sort computes it."""
    total = np.stack([np.bincount(user, column[item], PEOPLE) for column in space.T], axis=1)
    count = np.bincount(user, minlength=PEOPLE)[:, None]
    middle = space[item].mean(axis=0)
    return ((total - count * middle) / (count + STRENGTH)) @ space.T


def correlation(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(found, truth, strict=True)]))


def slope(found: np.ndarray, truth: np.ndarray) -> float:
    """How much of the true difference between items the exponent says: 1 is all."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (found, truth))
    return float((a * b).sum() / (a * a).sum())


def test_a_mean_of_clicks_tells_what_a_person_likes() -> None:
    vectors, item, user, truth = planted(1, clicks=60, apart=0.7)
    found = liking(taste_vectors(vectors, item=item, user=user, segment=np.zeros_like(user)), item, user)
    raw = liking(vectors - vectors[item].mean(axis=0), item, user)
    assert correlation(found, truth) > 0.9
    assert correlation(raw, truth) < correlation(found, truth) - 0.1, "the towers' own space does not say it"
    assert 0.7 < slope(found, truth) < 1.8, "and the exponent is in the units of log odds, rather too small"


def test_few_clicks_say_little() -> None:
    vectors, item, user, truth = planted(2, clicks=60, apart=0.7)
    space = taste_vectors(vectors, item=item, user=user, segment=np.zeros_like(user))
    first = np.arange(item.size) % 60 < 3
    few, many = liking(space, item[first], user[first]), liking(space, item, user)
    assert few.std() < 0.5 * many.std()
    assert slope(few, truth) > 0.5, "an exponent from three clicks does not overstate what they say"


def test_people_who_do_not_differ_leave_the_order_alone() -> None:
    vectors, item, user, _ = planted(3, clicks=40, apart=0.0)
    found = liking(taste_vectors(vectors, item=item, user=user, segment=np.zeros_like(user)), item, user)
    assert np.abs(found).std() < 0.02


def test_what_segments_differ_in_is_left_to_the_segments() -> None:
    random = np.random.default_rng(4)
    vectors = random.standard_normal((ITEMS, WIDTH)).astype(np.float32)
    segment_of = np.arange(PEOPLE) % 2
    chance = np.exp(np.outer(2.0 * segment_of - 1.0, vectors[:, 0]))
    item = np.concatenate([random.choice(ITEMS, 40, p=row / row.sum()) for row in chance])
    user = np.repeat(np.arange(PEOPLE), 40)
    apart = taste_vectors(vectors, item=item, user=user, segment=segment_of[user])
    together = taste_vectors(vectors, item=item, user=user, segment=np.zeros_like(user))
    assert np.abs(apart).max() < 0.5 * np.abs(together).max()


def test_the_same_clicks_in_any_order_and_any_numbers_give_the_same_space() -> None:
    vectors, item, user, _ = planted(5, clicks=20, apart=0.7)
    segment = user % 3
    once = taste_vectors(vectors, item=item, user=user, segment=segment)
    shuffled = np.random.default_rng(6).permutation(item.size)
    again = taste_vectors(vectors, item=item[shuffled], user=7 * user[shuffled] + 3, segment=9 - segment[shuffled])
    assert np.allclose(once, again, atol=1e-4)


def test_nobody_clicked_twice() -> None:
    vectors = np.eye(4, dtype=np.float32)
    for clicks in (0, 4):
        one = np.arange(clicks)
        with pytest.raises(Refused, match="nobody has clicked twice"):
            taste_vectors(vectors, item=one, user=one, segment=one)
