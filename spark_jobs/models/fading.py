"""What was long ago counts less: a row's weight in the loss halves every so many days.

Tastes and seasons move on; a model that counts last year's clicks like last night's learns their mean. Fading is the
smooth form of a shorter window: no day falls out of memory at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spark_jobs.models.examples import Doubles, Examples, Longs

DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class Fading:
    """Weights by age.

    Args:
        half_life_days: over 0; a row so old counts half.
        latest: microseconds since 1970 of the row that counts in full.
    """

    half_life_days: float
    latest: int

    def weight(self, time: Longs, given: Doubles | None = None) -> Doubles:
        """(n,) weights of rows by time (n,), times what they weigh already."""
        fresh: Doubles = np.exp2((time - self.latest) / (DAY * self.half_life_days))
        return fresh if given is None else given * fresh

    def of(self, examples: Examples) -> Examples:
        """Examples that count so."""
        return replace(examples, weight=self.weight(examples.time, examples.weight))
