"""How much of the shop is shown at all, how evenly, and how alike the lists of different people are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def coverage(shown: F64, candidates: int) -> float:
    """Share of the candidates that stand on somebody's first places: |∪ top k| / candidates.

    Args:
        shown: (items,) how often each item was on top.
        candidates: items that could have been.
    """
    return float(np.count_nonzero(shown)) / candidates if candidates else float("nan")


def entropy(shown: F64, candidates: int) -> float:
    """Evenness of what is shown: -Σ q ln q / ln N over shown shares q and N candidates; 1 when all are shown alike."""
    total = float(np.sum(shown))
    if total <= 0 or candidates < 2:
        return float("nan")
    q = shown[shown > 0] / total
    return float(-np.sum(q * np.log(q)) / np.log(candidates))


def centrality_ratio(shown: F64, candidates: int) -> float:
    """Share of all shown places taken by the 1 % most shown items (at least one item); lower is more personal."""
    total = float(np.sum(shown))
    if total <= 0 or not candidates:
        return float("nan")
    few = max(1, round(candidates / 100))
    return float(np.sort(shown)[::-1][:few].sum()) / total
