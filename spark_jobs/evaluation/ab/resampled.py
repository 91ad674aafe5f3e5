"""The same effect by resampling users: for ratios whose delta method one does not trust.

Poisson bootstrap: a user counts Poisson(1) times in each resample, in all epochs and variants alike (Chamandy et al.,
2012, "Estimating Uncertainty for Massive Data Streams"), in blocks, so that draws × users is never in memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.ab.effect import Cells
from spark_jobs.evaluation.bootstrap import Interval, percentiles

F64 = NDArray[np.float64]
BLOCK = 4096


def resampled(
    cells: Cells, y: F64, x: F64, *, arm: int, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Percentile interval of the difference that `effect` estimates; NaN where no epoch has both variants."""
    epochs, epoch = np.unique(cells.epoch, return_inverse=True)
    users = int(cells.user.max(initial=-1)) + 1
    rows = np.flatnonzero((cells.arm == 0) | (cells.arm == arm))
    # columns: count, y, x of each (epoch, control or variant)
    column = 3 * (2 * epoch[rows] + (cells.arm[rows] == arm))
    sums = np.zeros((users, 6 * epochs.size))
    for offset, values in enumerate((np.ones(rows.size), y[rows], x[rows])):
        np.add.at(sums, (cells.user[rows], column + offset), values)
    generator = np.random.default_rng(seed)
    total = np.zeros((draws, sums.shape[1]))
    for start in range(0, users, BLOCK):
        block = sums[start : start + BLOCK]
        total += generator.poisson(1.0, (draws, block.shape[0])).astype(np.float64) @ block
    return percentiles(float(_difference(sums.sum(0, keepdims=True))[0]), _difference(total), level)


def _difference(total: F64) -> F64:
    """(draws,) epochs combined as `effect` does."""
    count, y, x = (total[:, offset::3] for offset in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = y / x
        weight = 1.0 / (1.0 / count[:, 0::2] + 1.0 / count[:, 1::2])
        gap = ratio[:, 1::2] - ratio[:, 0::2]
    weight = np.where(np.isfinite(gap) & np.isfinite(weight), weight, 0.0)
    gap = np.where(weight > 0, gap, 0.0)
    whole = weight.sum(1)
    return np.asarray(np.divide((weight * gap).sum(1), whole, out=np.full(whole.shape, np.nan), where=whole > 0))
