"""What a bandit is: from what is believed of each arm to the number that the list is sorted by tonight.

An arm is an item within a segment. Arms are columns of arrays, never objects, and an arm without impressions, without
clicks or without misses is a row like any other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Belief:
    """What is believed of each arm's click rate: Beta(mean · evidence, (1 - mean) · evidence).

    Attributes:
        mean: (n,) expected click rate, strictly between 0 and 1.
        evidence: (n,) impressions it rests on, the prior's included, above 0.
    """

    mean: F64
    evidence: F64

    @classmethod
    def of(cls, prior: F64, strength: float | F64, *, impressions: F64, clicks: F64) -> Belief:
        """The conjugate update of a Beta prior by impressions of which some were clicked.

        mean = (strength · prior + clicks) / (strength + impressions), evidence = strength + impressions.

        Args:
            prior: (n,) the model's calibrated pCTR; kept 1e-9 away from 0 and 1, so that no arm is ever closed.
            strength: impressions the prior is worth, above 0.
            impressions: (n,) seen since the prior was made; fractions are fine (sampled events count 1 / rate).
            clicks: (n,) of these. A click without a recorded impression counts as one impression.

        Raises:
            ContractBroken: lengths differ, a prior is outside 0 … 1, or a count is negative or NaN.
        """
        prior = np.asarray(prior, dtype=np.float64)
        if not ((prior >= 0) & (prior <= 1)).all():
            raise ContractBroken("a prior click rate is outside 0 … 1", hint="calibrate the scores before exploring")
        if not (prior.shape == np.shape(impressions) == np.shape(clicks)):
            raise ContractBroken("prior, impressions and clicks must have one length")
        if not ((np.asarray(impressions) >= 0).all() and (np.asarray(clicks) >= 0).all() and np.all(strength > 0)):
            raise ContractBroken("impressions and clicks must not be negative, and the prior's strength above 0")
        seen = np.maximum(impressions, clicks)
        evidence = np.asarray(strength + seen, dtype=np.float64)
        mean = (strength * np.clip(prior, 1e-9, 1.0 - 1e-9) + clicks) / evidence
        return cls(np.asarray(mean, dtype=np.float64), evidence)

    @property
    def alpha(self) -> F64:
        return np.asarray(self.mean * self.evidence)

    @property
    def beta(self) -> F64:
        return np.asarray((1.0 - self.mean) * self.evidence)

    @property
    def deviation(self) -> F64:
        """Standard deviation of the belief: sqrt(mean (1 - mean) / (evidence + 1))."""
        return np.asarray(np.sqrt(self.mean * (1.0 - self.mean) / (self.evidence + 1.0)))

    def take(self, rows: NDArray[np.int64]) -> Belief:
        """The belief of some arms, in the given order."""
        return Belief(self.mean[rows], self.evidence[rows])


class Bandit(ABC):
    """Turns beliefs into numbers to sort by. Holds no state and no random generator of its own."""

    explores: bool = True
    """Whether the numbers differ from the means: quotas and propensities concern only those that explore."""

    random: bool = True
    """Whether the numbers hang on chance: where they do not, every place is certain and every propensity 1."""

    linear: bool = False
    """Whether it wants beliefs that items with like features share (`linear_belief`)."""

    @abstractmethod
    def draw(self, belief: Belief, uniform: F64, *, lists: I64) -> F64:
        """(n,) tonight's number of each arm, at least 0, higher first.

        Args:
            belief: of n arms.
            uniform: (n,) one number of (0, 1) an arm, see `keys.draw_uniforms`.
            lists: (n,) the list of each arm, 0, 1, …; arms of one list compete, lists are given whole.
        """

    def replicates(self, belief: Belief, generator: np.random.Generator, *, lists: I64, count: int) -> F64:
        """(count, n) numbers as other weeks might have drawn them: the same law as `draw`."""
        if not self.random:
            return np.tile(self.draw(belief, np.full(lists.size, 0.5), lists=lists), (count, 1))
        uniform = np.clip(generator.random((count, lists.size)), 2.0**-54, None)
        return np.stack([self.draw(belief, row, lists=lists) for row in uniform])

    def reach(self, belief: Belief) -> tuple[F64, F64]:
        """(n,) numbers that hardly any draw of an arm falls below, or above: who cannot meet need not be drawn.

        As it stands here nothing is ruled out.
        """
        return np.zeros(belief.mean.size), np.full(belief.mean.size, np.inf)
