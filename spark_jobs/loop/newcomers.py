"""How fast new items find their place: by nights since they arrived."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spark_jobs.evaluation.seeds import mean_interval
from spark_jobs.sources.world_truth import Floats

NEAR = 0.1
WATCHED = 7


class Newcomers:
    """One variant's.

    Args:
        seeds: (nights, 3, items) of each seed, see `figures.newcomers`.
    """

    def __init__(self, seeds: Sequence[Floats]) -> None:
        self.seeds = [self._by_age(values) for values in seeds]

    def distance(self) -> list[float]:
        """By age in nights, from the one that first serves it: mean distance from the true place, in list lengths."""
        far = np.sum([np.nansum(by_age[:, 0], axis=1) for by_age in self.seeds], axis=0)
        items = np.sum([np.isfinite(by_age[:, 0]).sum(axis=1) for by_age in self.seeds], axis=0)
        return [float(one) for one in far / np.maximum(items, 1)]

    def on_page(self) -> list[float]:
        """By age: of those on whose first page new items belong, the share who have them there."""
        both = np.sum([np.nansum(by_age[:, 2], axis=1) for by_age in self.seeds], axis=0)
        belongs = np.sum([np.nansum(by_age[:, 1], axis=1) for by_age in self.seeds], axis=0)
        return [float(one) for one in both / np.maximum(belongs, 1e-12)]

    def arrived(self) -> list[float]:
        """A seed: the share of items within a tenth of the list of their true place by their seventh night."""
        return [float(np.sum(nights <= WATCHED)) / max(nights.size, 1) for nights in map(self._nights, self.seeds)]

    def report(self) -> dict[str, object]:
        """`arrived` with its interval, `median_nights` (null: most never do), `distance` and `on_page` by age."""
        arrived = mean_interval(self.arrived())
        nights = np.concatenate([self._nights(by_age) for by_age in self.seeds])
        median = float(np.median(nights)) if nights.size else float("nan")
        return {
            "items": int(nights.size),
            "arrived": {"value": arrived.value, "low": arrived.low, "high": arrived.high},
            "median_nights": median if np.isfinite(median) else None,
            "distance": self.distance(),
            "on_page": self.on_page(),
        }

    def _nights(self, by_age: Floats) -> Floats:
        """(items,) the first night, from 1, near the true place; infinite for never. Of those watched long enough."""
        distance = by_age[:, 0]
        watched = distance[:, np.isfinite(distance[WATCHED - 1])] if len(distance) >= WATCHED else distance[:, :0]
        near = watched <= NEAR
        return np.where(near.any(axis=0), near.argmax(axis=0) + 1.0, np.inf)

    def _by_age(self, values: Floats) -> Floats:
        """(ages, 3, items that were new) from (nights, 3, items)."""
        there = np.isfinite(values[:, 0])
        new = np.flatnonzero(there.any(axis=0))
        first = there[:, new].argmax(axis=0)
        found = np.full((len(values), 3, len(new)), np.nan)
        for column, (item, night) in enumerate(zip(new.tolist(), first.tolist(), strict=True)):
            found[: len(values) - night, :, column] = values[night:, :, item]
        return found
