"""Small worlds of users with known effects: heterogeneous, returning, with a covariate from before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.ab.effect import Cells

F64 = NDArray[np.float64]


def world(
    users: int, generator: np.random.Generator, *, lift: float = 0.0, share: float = 0.5
) -> tuple[Cells, F64, F64, F64]:
    """Cells, clicks, shown places, and clicks before the test; a variant's click rate is higher by `lift`."""
    taste = generator.beta(2.0, 18.0, users)
    activity = generator.gamma(1.0, 1.0, users)
    arm = (generator.random(users) < share).astype(np.int64)
    shown = 10.0 * (1 + generator.poisson(3.0 * activity))
    clicks = generator.binomial(shown.astype(np.int64), taste * (1.0 + lift * arm)).astype(np.float64)
    before = generator.binomial(10 * (1 + generator.poisson(3.0 * activity)), taste).astype(np.float64)
    return Cells(np.arange(users), np.zeros(users, dtype=np.int64), arm), clicks, shown, before
