"""What every bandit must do. Enrol one in a few lines: subclass and give the bandit."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.bandits.contract import I64, Bandit, Belief


class BanditContract:
    """Beliefs in, numbers out: one an arm, whatever the arm has seen, whatever the order."""

    settles = True
    """Whether much evidence ends the exploring."""

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

    @pytest.fixture
    def lists(self) -> I64:
        return np.array([0, 0, 1, 0, 1, 1])

    def test_every_arm_gets_a_number(self, bandit: Bandit, belief: Belief, lists: I64) -> None:
        """Neither an arm without a click nor one without a miss falls out."""
        drawn = bandit.draw(belief, np.linspace(0.001, 0.999, 6), lists=lists)
        assert drawn.shape == (6,)
        assert np.isfinite(drawn).all()
        assert (drawn >= 0).all()

    def test_the_order_of_the_arms_does_not_matter(self, bandit: Bandit, belief: Belief, lists: I64) -> None:
        uniform = np.linspace(0.01, 0.9, 6)
        backwards = np.arange(6)[::-1].astype(np.int64)
        drawn = bandit.draw(belief, uniform, lists=lists)
        again = bandit.draw(belief.take(backwards), uniform[backwards], lists=lists[backwards])
        assert (again == drawn[backwards]).all()

    def test_lists_are_apart(self, bandit: Bandit, belief: Belief, lists: I64) -> None:
        uniform = np.linspace(0.01, 0.9, 6)
        together = bandit.draw(belief, uniform, lists=lists)
        for name in (0, 1):
            rows = np.flatnonzero(lists == name)
            alone = bandit.draw(belief.take(rows), uniform[rows], lists=np.zeros(3, dtype=np.int64))
            assert (alone == together[rows]).all()

    def test_the_same_uniform_gives_the_same_number(self, bandit: Bandit, belief: Belief, lists: I64) -> None:
        uniform = np.full(6, 0.37)
        assert (bandit.draw(belief, uniform, lists=lists) == bandit.draw(belief, uniform, lists=lists)).all()

    def test_much_evidence_leaves_little_to_chance(self, bandit: Bandit) -> None:
        known = Belief.of(np.array([0.1]), 1.0, impressions=np.array([1e12]), clicks=np.array([5e10]))
        one = np.zeros(1, dtype=np.int64)
        low, high = (bandit.draw(known, np.array([uniform]), lists=one)[0] for uniform in (0.01, 0.99))
        if self.settles:
            assert [low, high] == pytest.approx([0.05, 0.05], rel=1e-3)
        else:
            assert low < 0.05 < high

    def test_hardly_a_draw_leaves_its_reach(self, bandit: Bandit, belief: Belief, lists: I64) -> None:
        low, high = bandit.reach(belief)
        drawn = bandit.replicates(belief, np.random.default_rng(1), lists=lists, count=500)
        assert ((drawn < low) | (drawn > high)).mean() < 0.01

    def test_replicates_have_the_law_of_the_draw(self, bandit: Bandit) -> None:
        belief, lists = Belief(np.array([0.05, 0.3]), np.array([200.0, 20.0])), np.zeros(2, dtype=np.int64)
        replicates = bandit.replicates(belief, np.random.default_rng(4), lists=lists, count=20_000)
        grid = (np.arange(20_000) + 0.5) / 20_000
        drawn = np.stack([bandit.draw(belief, np.full(2, u), lists=lists) for u in grid[::20]])
        assert replicates.shape == (20_000, 2)
        assert replicates.mean(axis=0) == pytest.approx(drawn.mean(axis=0), rel=0.02)
        for q in (0.2, 0.8):
            assert np.quantile(replicates, q, axis=0) == pytest.approx(np.quantile(drawn, q, axis=0), rel=0.03)
        if not bandit.random:
            assert (replicates == drawn[0]).all()
