"""Softmax: every arm may come first, better ones more often, however well all of them are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_jobs.bandits.contract import F64, I64, Bandit, Belief

LOW, HIGH = 7.0, 1e-6


@dataclass(frozen=True)
class Softmax(Bandit):
    """mean · E ** -temperature, E exponential: a list drawn place by place with chances ∝ mean ** (1 / temperature).

    That is the softmax of ln mean / temperature, drawn for a whole list at once by Gumbel noise on ln mean (Plackett
    1975, Luce 1959; Yellott, J. Math. Psychology 15, 1977). Of logarithms, since lists of high and of low click rates
    are then explored alike. The probability of a list is known in closed form.

    Attributes:
        temperature: above 0; the smaller, the greedier.
    """

    temperature: float = 0.1

    def draw(self, belief: Belief, uniform: F64, *, lists: I64) -> F64:
        return np.asarray(belief.mean * (-np.log(uniform)) ** -self.temperature)

    def reach(self, belief: Belief) -> tuple[F64, F64]:
        return belief.mean * LOW**-self.temperature, belief.mean * HIGH**-self.temperature
