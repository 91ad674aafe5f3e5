"""Whether a split is the one that was ordered, and p-values of several variants together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F64 = NDArray[np.float64]
UNSOUND = 0.001
"""p below which a split is not believed to be chance."""


def sample_ratio_p(counts: F64, shares: F64) -> float:
    """Sample-ratio mismatch: how likely a split at least this far from the ordered one is by chance.

    Pearson's χ² within each epoch, added up (Fabijan et al., KDD 2019). Below 0.001 something loses or moves users:
    do not read the effects.

    Args:
        counts: (epochs, variants) units seen.
        shares: (epochs, variants) ordered; those of an epoch need not sum to 1.

    Returns:
        p; NaN where no epoch has two variants.
    """
    statistic, freedom = 0.0, 0
    for seen, ordered in zip(counts, shares, strict=True):
        there = ordered > 0
        if np.any(seen[~there] > 0):
            return 0.0  # who was never ordered cannot have come by chance
        if np.count_nonzero(there) < 2 or not seen.sum():
            continue
        expected = seen.sum() * ordered[there] / ordered[there].sum()
        statistic += float(((seen[there] - expected) ** 2 / expected).sum())
        freedom += int(np.count_nonzero(there)) - 1
    return float(stats.chi2.sf(statistic, freedom)) if freedom else float("nan")


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for looking at several variants (Holm, 1979), in the given order; NaN stays NaN.

    >>> [round(one, 3) for one in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    order = [int(place) for place in np.argsort(values) if not np.isnan(values[place])]
    corrected = np.full(values.size, np.nan)
    worst = 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * values[place]))
        corrected[place] = worst
    return [float(one) for one in corrected]
