"""From item vectors of two towers to a space in which a mean of clicks is a taste and a dot product its log odds.

Clicked items of one person scatter around a point of their own with covariance W, these points around their segment's
with covariance B (linear discriminant analysis with people as classes; Fisher, 1936; Ioffe, "Probabilistic Linear
Discriminant Analysis", ECCV 2006). Given n clicks with mean ā, how much likelier than the segment's others this person
is to click an item with vector a is, up to a constant of his own,

    (m − μ)ᵀ W⁻¹ (a − μ),    m − μ = B (B + W / n)⁻¹ (ā − μ)

where μ is the segment's middle. In coordinates x = Vᵀa with VᵀWV = 1 and VᵀBV = diag(b) that is, less what is the same
for all items, Σ_j x_j (Σ_clicks x_j − n μ_j) / (n + 1 / b_j). A store that keeps Σ x and n divides by n + STRENGTH
whatever the direction; directions in which people differ less, b_j STRENGTH < 1, are shrunken by √(b_j STRENGTH)
instead: the same for few clicks, and smaller for many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segments.errors import Refused

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]
STRENGTH = 30.0  # the default `strength` of a surface's personal re-sort
RIDGE = 1e-3  # of the mean variance, added to W: a direction no click varies in is no infinite evidence


def taste_vectors(vectors: Floats, *, item: Longs, user: Longs, segment: Longs) -> Floats:
    """Item vectors in the space of tastes.

    Args:
        vectors: the towers' (n, d).
        item: line of `vectors` of each click, (m,).
        user: who clicked, (m,), any numbers.
        segment: the segment that serves this user, (m,), any numbers.

    Returns:
        (n, d) float32, the directions in which people differ most first.

    Raises:
        Refused: nobody has clicked twice: nothing says how people differ.
    """
    clicked = vectors[item].astype(np.float64)
    middle = clicked.mean(axis=0) if len(clicked) else np.zeros(vectors.shape[1])
    within, between = _covariances(clicked, user, segment)
    size = np.trace(within) / len(within)
    scale, axes = np.linalg.eigh(within + RIDGE * size * np.eye(len(within)))
    white = axes / np.sqrt(scale)
    differ, turn = np.linalg.eigh(white.T @ between @ white)
    order = np.argsort(-differ, kind="stable")
    shrink = np.sqrt(np.clip(differ[order] * STRENGTH, 0.0, 1.0))
    # an axis has no sign of its own: the largest component is made positive, so that a night repeats itself
    turn = turn[:, order]
    turn = turn * np.sign(turn[np.abs(turn).argmax(axis=0), np.arange(turn.shape[1])])
    return np.asarray((vectors.astype(np.float64) - middle) @ (white @ turn * shrink), dtype=np.float32)


def _covariances(clicked: Doubles, user: Longs, segment: Longs) -> tuple[Doubles, Doubles]:
    """Covariance within people (d, d), and between those of a segment, unbiased for people of unequal clicks."""
    _, first, person, clicks = np.unique(user, return_index=True, return_inverse=True, return_counts=True)
    if not len(clicked) or len(clicks) == len(clicked):
        raise Refused("nobody has clicked twice: vectors cannot say how people differ", hint="more days of events")
    _, group = np.unique(segment[first], return_inverse=True)
    means = _means(clicked, person, clicks)
    apart = clicked - means[person]
    within = apart.T @ apart / (len(clicked) - len(clicks))
    size = np.bincount(group, clicks)
    spread = means - _means(means * clicks[:, None], group, size)[group]
    # E[Σ n (ā − μ̂)²] = (people − segments) W + Σ over segments of (N − Σ n² / N) B
    whole = (spread * clicks[:, None]).T @ spread
    even = len(clicked) - float((np.bincount(group, clicks.astype(np.float64) ** 2) / size).sum())
    return within, (whole - (len(clicks) - len(size)) * within) / max(even, 1.0)


def _means(rows: Doubles, group: Longs, size: Longs | Doubles) -> Doubles:
    """Sum of the rows of each group over its size, (groups, d)."""
    return np.stack([np.bincount(group, column, len(size)) for column in rows.T], axis=1) / size[:, None]
