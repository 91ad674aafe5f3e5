"""What every bandit must do. Enrol one in a few lines: subclass and give the bandit."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.bandits.contract import Bandit, Belief


class BanditContract:
    """Beliefs in, numbers out: one an arm, whatever the arm has seen, whatever the order."""

    @pytest.fixture
    def bandit(self) -> Bandit:
        raise RuntimeError("a subclass gives the bandit")

    @pytest.fixture
    def belief(self) -> Belief:
        """Never seen, never clicked, always clicked, well known, prior 0, prior 1."""
        return Belief.of(
            np.array([0.02, 0.02, 0.02, 0.02, 0.0, 1.0]), 50.0,
            impressions=np.array([0.0, 5000.0, 300.0, 1e7, 0.0, 0.0]),
            clicks=np.array([0.0, 0.0, 300.0, 2e5, 0.0, 0.0]),
        )  # fmt: skip

    def test_every_arm_gets_a_number(self, bandit: Bandit, belief: Belief) -> None:
        """Neither an arm without a click nor one without a miss falls out."""
        drawn = bandit.draw(belief, np.linspace(0.001, 0.999, 6))
        assert drawn.shape == (6,)
        assert np.isfinite(drawn).all()
        assert (drawn >= 0).all()

    def test_the_order_of_the_arms_does_not_matter(self, bandit: Bandit, belief: Belief) -> None:
        uniform = np.linspace(0.1, 0.9, 6)
        backwards = np.arange(6)[::-1].astype(np.int64)
        drawn = bandit.draw(belief, uniform)
        assert (bandit.draw(belief.take(backwards), uniform[backwards]) == drawn[backwards]).all()

    def test_the_same_uniform_gives_the_same_number(self, bandit: Bandit, belief: Belief) -> None:
        uniform = np.full(6, 0.37)
        assert (bandit.draw(belief, uniform) == bandit.draw(belief, uniform)).all()

    def test_much_evidence_leaves_little_to_chance(self, bandit: Bandit) -> None:
        known = Belief.of(np.array([0.1]), 1.0, impressions=np.array([1e9]), clicks=np.array([5e7]))
        for uniform in (0.01, 0.99):
            assert bandit.draw(known, np.array([uniform])) == pytest.approx(0.05, rel=1e-3)

    def test_replicates_have_the_law_of_the_draw(self, bandit: Bandit) -> None:
        belief = Belief(np.array([0.05, 0.3]), np.array([200.0, 20.0]))
        replicates = bandit.replicates(belief, np.random.default_rng(4), count=20_000)
        grid = (np.arange(20_000) + 0.5) / 20_000
        drawn = np.stack([bandit.draw(belief, np.full(2, u)) for u in grid[::20]])
        assert replicates.shape == (20_000, 2)
        assert replicates.mean(axis=0) == pytest.approx(drawn.mean(axis=0), rel=0.02)
        for q in (0.1, 0.9):
            assert np.quantile(replicates, q, axis=0) == pytest.approx(np.quantile(drawn, q, axis=0), rel=0.03)
