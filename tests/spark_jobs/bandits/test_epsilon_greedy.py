"""A share epsilon of the places goes to anybody, and the rest stays in order."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.epsilon_greedy import EpsilonGreedy
from spark_jobs.bandits.finals import ranks

ARMS = 2000


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.3, 1.0])
def test_a_share_of_the_first_places_goes_to_arms_taken_at_random(epsilon: float) -> None:
    """Of the first hundred of two thousand arms: the best hundred but for the share, and that share from anywhere."""
    belief, lists = Belief(np.linspace(0.5, 0.01, ARMS), np.ones(ARMS)), np.zeros(ARMS, dtype=np.int64)
    r = np.random.default_rng(3)
    shown = [np.flatnonzero(ranks(EpsilonGreedy(epsilon).draw(belief, r.random(ARMS), lists=lists), lists) <= 100)
             for _ in range(60)]  # fmt: skip
    far = np.mean([(each > 300).mean() for each in shown])
    assert far == pytest.approx(epsilon * 0.85, abs=0.02)
    if not epsilon:
        assert (np.array(shown) == np.arange(100)).all()


def test_an_arm_moves_within_its_own_list() -> None:
    """A list of high rates and one of low rates: nobody takes a number of the other list."""
    belief = Belief(np.r_[np.full(50, 0.5), np.full(50, 0.01)], np.ones(100))
    drawn = EpsilonGreedy(1.0).draw(belief, np.random.default_rng(1).random(100), lists=np.repeat([0, 1], 50))
    assert drawn == pytest.approx(belief.mean, rel=1e-15)
