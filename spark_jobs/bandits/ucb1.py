"""Upper confidence bounds: sort by what each arm might at best be worth.

Nothing is left to chance: who has been seen little against ln t stands high until it has been seen. t is what all arms
of the list have been shown, their priors included, n what the arm has.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from spark_jobs.bandits.contract import F64, I64, Bandit, Belief


@dataclass(frozen=True)
class UpperBound(Bandit):
    """What the bandits of this kind share: ln t of each list.

    Attributes:
        width: the bound's distance from the mean is multiplied by it; 1 is the paper's.
    """

    width: float = 1.0
    random = False

    def draw(self, belief: Belief, uniform: F64, *, lists: I64) -> F64:
        return self.bound(belief, log_rounds(belief.evidence, lists))

    @abstractmethod
    def bound(self, belief: Belief, log_t: F64) -> F64:
        """(n,) the upper bound of each arm, given ln t of its list."""


@dataclass(frozen=True)
class UCB1(UpperBound):
    """mean + width · sqrt(2 ln t / n) (Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002).

    Made for rewards anywhere in 0 … 1: at click rates of a few per cent it explores far too long.
    """

    def bound(self, belief: Belief, log_t: F64) -> F64:
        return np.asarray(belief.mean + self.width * np.sqrt(2.0 * log_t / belief.evidence))


def log_rounds(evidence: F64, lists: I64) -> F64:
    """(n,) ln of the evidence of each arm's whole list, at least 0, the same bits whatever the order of the arms."""
    order = np.lexsort((evidence, lists))
    starts = np.flatnonzero(np.diff(lists[order], prepend=-1))
    total = np.zeros(int(lists.max(initial=-1)) + 1)
    if starts.size:
        total[lists[order][starts]] = np.add.reduceat(evidence[order], starts)
    return np.asarray(np.log(np.maximum(total, 1.0))[lists])
