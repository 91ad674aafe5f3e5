"""What every off-policy estimator must do. Enrol one in a few lines: subclass and give its terms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spark_jobs.evaluation.ope.registry import Estimator
from spark_jobs.evaluation.ope.rounds import Rounds
from tests.spark_jobs.evaluation.ope.worlds import World, some

REQUESTS = 300


def value_of(estimator: Estimator, rounds: Rounds, threshold: float = np.inf) -> float:
    """The estimate alone."""
    terms = estimator.terms(rounds, threshold)
    return sum(float(numerator.sum() / denominator.sum()) for numerator, denominator in terms.ratios)


class EstimatorContract:
    """An estimate hangs on the log and the policy, and on nothing else."""

    looks = True
    """Whether it looks at rewards itself, not only at the model."""

    @pytest.fixture
    def estimator(self) -> Estimator:
        raise RuntimeError("a subclass gives the estimator")

    @pytest.fixture
    def world(self, estimator: Estimator) -> World:
        return World(segments=6, places=2 if estimator.lists else 1, kinds=2, seed=8)

    @pytest.fixture
    def rounds(self, world: World) -> Rounds:
        return world.rounds(world.draw(REQUESTS, seed=1), world.target, world.rate)

    @pytest.mark.parametrize("threshold", [np.inf, 1.5])
    def test_there_is_one_finite_number_a_request(self, estimator: Estimator, rounds: Rounds, threshold: float) -> None:
        terms = estimator.terms(rounds, threshold)
        assert terms.ratios
        for each in (part for ratio in terms.ratios for part in ratio):
            assert each.shape == (REQUESTS,)
            assert np.isfinite(each).all()
        if terms.weights is not None:
            assert (terms.weights >= 0).all()

    def test_a_policy_that_does_what_the_log_did_earns_what_it_earned(self, estimator: Estimator, world: World) -> None:
        """The log shows every item equally often, since some take that on trust."""
        world.logging = np.full_like(world.logging, 1.0 / world.logging.shape[2])
        drawn = world.draw(REQUESTS, seed=2)
        rounds = world.rounds(drawn, world.logging, np.zeros_like(world.rate))
        assert value_of(estimator, rounds) == pytest.approx(self.looks * drawn["reward"].sum() / REQUESTS, abs=1e-12)

    def test_twice_the_reward_is_twice_the_value(self, estimator: Estimator, rounds: Rounds) -> None:
        double = replace(rounds, reward=2 * rounds.reward, predicted=2 * rounds.predicted, expected=2 * rounds.expected)
        assert value_of(estimator, double) == pytest.approx(2 * value_of(estimator, rounds), rel=1e-12)

    def test_the_order_of_requests_does_not_matter(self, estimator: Estimator, world: World) -> None:
        drawn = world.draw(REQUESTS, seed=3)
        mixed = np.random.default_rng(4).permutation(REQUESTS)
        there, here = (world.rounds(each, world.target, world.rate) for each in (drawn, some(drawn, mixed)))
        assert value_of(estimator, here) == pytest.approx(value_of(estimator, there), rel=1e-12)

    def test_no_reward_is_worth_nothing(self, estimator: Estimator, rounds: Rounds) -> None:
        nothing = np.zeros_like(rounds.reward)
        silent = replace(rounds, reward=nothing, predicted=nothing, expected=nothing)
        assert value_of(estimator, silent) == pytest.approx(0.0, abs=1e-12)
