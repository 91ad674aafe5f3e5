"""How many users a test needs, and for how many days.

Two-sided z-test of a difference of means per user, where whoever clicks e times more also varies e times more:
σ² (1/p_c + (1 + e)²/p_t) / N = (e · mean / (z_{1-α/2} + z_power))².
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from segments.errors import UsageError


@dataclass(frozen=True)
class Plan:
    """A test to come.

    Attributes:
        mean, deviation: of the metric per user in the time the test will take.
        effect: relative, such as 0.05.
        control, variant: the two shares of users, together at most 1.
        alpha: of a false alarm; already corrected for several variants.
    """

    mean: float
    deviation: float
    effect: float
    control: float = 0.5
    variant: float = 0.5
    alpha: float = 0.05

    def __post_init__(self) -> None:
        shares = self.control > 0 and self.variant > 0 and self.control + self.variant <= 1 + 1e-9
        numbers = self.deviation > 0 and self.mean * self.effect != 0 and 0 < self.alpha < 1
        if not (shares and numbers and all(map(math.isfinite, (self.mean, self.deviation, self.effect)))):
            raise UsageError(
                "a plan needs a mean and an effect that are not 0, a deviation above 0, and shares above 0 that "
                "are together at most 1"
            )

    @property
    def _spread(self) -> float:
        return self.deviation * math.sqrt(1.0 / self.control + (1.0 + self.effect) ** 2 / self.variant)

    def _z(self, power: float) -> float:
        if not self.alpha / 2 < power < 1:
            raise UsageError(f"a power between {self.alpha / 2:g} and 1, not {power:g}")
        return float(stats.norm.ppf(1 - self.alpha / 2) + stats.norm.ppf(power))

    def users(self, power: float = 0.8) -> int:
        """Users, of all shares together, that find the effect with this probability.

        >>> Plan(mean=1.0, deviation=2.0, effect=0.05).users(0.8)
        52808
        """
        return math.ceil((self._z(power) * self._spread / (self.mean * self.effect)) ** 2)

    def power(self, users: int) -> float:
        """Probability that a test with so many users finds the effect."""
        signal = abs(self.mean * self.effect) * math.sqrt(users) / self._spread
        z = float(stats.norm.ppf(1 - self.alpha / 2))
        return float(stats.norm.sf(z - signal) + stats.norm.cdf(-z - signal))

    def detectable(self, users: int, power: float = 0.8) -> float:
        """The smallest relative gain that so many users find with this probability; infinite where none is."""
        z = self._z(power)
        noise = (z * self.deviation / self.mean) ** 2 / users
        # the formula above, solved for e
        a, b, c = 1.0 - noise / self.variant, noise / self.variant, noise * (1.0 / self.control + 1.0 / self.variant)
        return (b + math.sqrt(b * b + a * c)) / a if a > 0 else math.inf
