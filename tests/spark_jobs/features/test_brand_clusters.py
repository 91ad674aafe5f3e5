"""Brand groups by scikit-learn: the contract, and what only a fast way can be asked often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segments.families.brand import BrandSettings
from spark_jobs.features.balanced_groups import balanced_groups
from spark_jobs.features.brand_clusters import NOBODY, BrandClusters, damped, fit_brand_clusters
from spark_jobs.features.cluster_plot import Panel, draw_clusters, draw_side_by_side
from tests.contracts.brand_groups import SETTINGS, BrandGroupsContract, Shoppers, shoppers


class TestScikitLearn(BrandGroupsContract):
    @classmethod
    def fitted(
        cls, rows: Shoppers, settings: BrandSettings = SETTINGS, previous: BrandClusters = NOBODY
    ) -> BrandClusters:
        return fit_brand_clusters(rows.users, rows.brands, rows.counts, settings, previous=previous)

    def test_shuffled_tastes_are_not_found(self) -> None:
        """The measure can fail: without tastes there is nothing to find."""
        noise = shoppers(400, own=0.0)
        assert noise.agreement(self.fitted(noise)) < 0.1

    def test_the_order_of_rows_does_not_matter(self, planted: Shoppers, found: BrandClusters) -> None:
        assert self.fitted(planted.shuffled(1)).group_of == found.group_of
        one, other = (self.fitted(shoppers(440, seed=4).shuffled(n), previous=found) for n in (2, 3))
        assert one.group_of == other.group_of

    def test_few_users_are_one_group(self) -> None:
        assert set(self.fitted(shoppers(30)).group_of.values()) == {0}
        assert fit_brand_clusters([], [], np.zeros(0), SETTINGS).group_of == {}

    def test_a_picture_is_the_same_for_the_same_groups(self, found: BrandClusters, tmp_path: Path) -> None:
        one, other = (draw_clusters(found, tmp_path / name, prefix="m").read_bytes() for name in ("a.svg", "b.svg"))
        assert one == other
        assert b"<svg" in one
        flat = BrandClusters(["u1", "u2"], np.array([0, 0]), np.ones((2, 1)), {0: ("Acme",)})
        panels = [Panel("by brand", c.mixtures, c.numbers, "a note") for c in (found, flat)]
        one, other = (draw_side_by_side(panels, tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
        assert one == other
        assert one.startswith(b"\x89PNG")


def test_choices_count_less_the_more_there_are_and_faded_ones_as_little_as_they_are() -> None:
    assert damped(np.array([0.25, 1.0, np.e])).tolist() == [0.25, 1.0, 2.0]


@pytest.mark.parametrize("seed", range(4))
def test_no_group_is_tiny_or_nearly_everybody(seed: int) -> None:
    """Half of all users in one lump, singles far away, the rest spread out: KMeans alone gives groups of one."""
    random = np.random.default_rng(seed)
    lump = random.normal(0, 0.01, (300, 3))
    spread = random.normal(1, 0.5, (280, 3))
    far = random.normal(0, 1, (20, 3)) * 30
    settings = BrandSettings(groups=8, min_users=30, max_share=0.3)
    numbers = balanced_groups(np.vstack([lump, spread, far]), settings)
    sizes = np.bincount(numbers)
    assert sizes.min() >= 30
    assert sizes.max() <= 0.3 * 600 + 1
    assert len(sizes) <= 8


def test_a_large_group_stays_where_halving_it_would_make_a_larger_one() -> None:
    """Four groups asked for, one of 34 users in a hundred: to halve it, two of 22 would have to become one of 44."""
    random = np.random.default_rng(1)
    places, sizes = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]]), (136, 88, 88, 88)
    points = np.repeat(places, sizes, axis=0) + random.normal(0, 0.1, (400, 2))
    numbers = balanced_groups(points, BrandSettings(groups=4, min_users=20, max_share=0.3))
    assert sorted(np.bincount(numbers).tolist()) == [88, 88, 88, 136]


def test_users_all_alike_are_one_group() -> None:
    assert set(balanced_groups(np.ones((200, 3)), BrandSettings(groups=8, min_users=20)).tolist()) == {0}
