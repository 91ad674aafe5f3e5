"""Brand groups: planted tastes are found, numbers stay, and odd data gives something sensible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segments.families.brand import BrandSettings
from spark_jobs.features.balanced_groups import balanced_groups, stable_numbers
from spark_jobs.features.brand_clusters import NOBODY, BrandClusters, fit_brand_clusters
from spark_jobs.features.cluster_plot import draw_clusters

SETTINGS = BrandSettings(groups=4, topics=8, min_users=20, max_share=0.5)
TASTES, BRANDS_EACH = 4, 12


@dataclass(frozen=True)
class Shoppers:
    """Rows (user, brand, count), and each user's planted taste."""

    users: list[str]
    brands: list[str]
    counts: np.ndarray
    taste: dict[str, int]

    def shuffled(self, seed: int) -> Shoppers:
        order = np.random.default_rng(seed).permutation(len(self.users))
        return Shoppers([self.users[i] for i in order], [self.brands[i] for i in order], self.counts[order], self.taste)

    def fitted(self, settings: BrandSettings = SETTINGS, previous: BrandClusters = NOBODY) -> BrandClusters:
        return fit_brand_clusters(self.users, self.brands, self.counts, settings, previous=previous)


def shoppers(users: int, *, seed: int = 3, own: float = 0.85, chosen: int = 25) -> Shoppers:
    """Each user takes `own` of his choices among the brands of his taste, the others anywhere."""
    random = np.random.default_rng(seed)
    found: list[tuple[str, str, float]] = []
    taste = {f"u{n}": int(n % TASTES) for n in range(users)}
    for user, liked in taste.items():
        inside = random.integers(0, BRANDS_EACH, chosen) + liked * BRANDS_EACH
        anywhere = random.integers(0, TASTES * BRANDS_EACH, chosen)
        picks = np.where(random.random(chosen) < own, inside, anywhere)
        brands, counts = np.unique(picks, return_counts=True)
        found += [(user, f"brand {b:02d}", float(c)) for b, c in zip(brands, counts, strict=True)]
    return Shoppers([r[0] for r in found], [r[1] for r in found], np.array([r[2] for r in found]), taste)


@pytest.fixture(scope="module")
def planted() -> Shoppers:
    return shoppers(400)


@pytest.fixture(scope="module")
def fitted(planted: Shoppers) -> BrandClusters:
    return planted.fitted()


def test_planted_tastes_are_found(planted: Shoppers, fitted: BrandClusters) -> None:
    truth = [planted.taste[user] for user in fitted.users]
    assert len(truth) == 400
    assert adjusted_rand_score(truth, fitted.numbers) >= 0.9
    for number, label in fitted.labels.items():
        (liked,) = {int(brand.split()[1]) // BRANDS_EACH for brand in label.split(", ")}
        inside = [planted.taste[u] for u, g in fitted.group_of.items() if g == number]
        assert liked == max(set(inside), key=inside.count), "the label names brands of the group's taste"


def test_shuffled_tastes_are_not_found(planted: Shoppers) -> None:
    """The measure can fail: without tastes there is nothing to find."""
    noise = shoppers(400, own=0.0).fitted()
    truth = [planted.taste[user] for user in noise.users]
    assert adjusted_rand_score(truth, noise.numbers) < 0.1


def test_the_order_of_rows_does_not_matter(planted: Shoppers, fitted: BrandClusters) -> None:
    assert planted.shuffled(1).fitted().group_of == fitted.group_of


def test_numbers_stay_from_one_snapshot_to_the_next(planted: Shoppers, fitted: BrandClusters) -> None:
    later = shoppers(440, seed=4).fitted(previous=fitted)
    stayed = [later.group_of[user] == number for user, number in fitted.group_of.items()]
    assert np.mean(stayed) >= 0.95
    assert set(later.group_of.values()) == set(fitted.group_of.values())
    again = shoppers(440, seed=4).shuffled(2).fitted(previous=fitted)
    assert again.group_of == later.group_of


def test_few_users_are_one_group_and_fewer_are_none() -> None:
    assert shoppers(19).fitted() is NOBODY
    assert set(shoppers(30).fitted().group_of.values()) == {0}
    empty = fit_brand_clusters([], [], np.zeros(0), SETTINGS)
    assert empty.group_of == {}


def test_users_of_few_brands_have_no_group() -> None:
    people = shoppers(100)
    users, brands = [*people.users, "one", "two"], [*people.brands, "brand 00", "brand 01"]
    fitted = fit_brand_clusters(users, brands, np.append(people.counts, [9.0, 9.0]), SETTINGS)
    assert {"one", "two"}.isdisjoint(fitted.group_of)
    assert len(fitted.group_of) == 100


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


def test_users_all_alike_are_one_group() -> None:
    assert set(balanced_groups(np.ones((200, 3)), BrandSettings(groups=8, min_users=20)).tolist()) == {0}


def test_a_group_keeps_the_number_it_shares_most_users_with() -> None:
    before = {"a": 5, "b": 5, "c": 2, "d": 2}
    assert stable_numbers(["a", "b", "c", "d", "e"], np.array([0, 0, 1, 1, 2]), before).tolist() == [5, 5, 2, 2, 6]
    assert stable_numbers(["x", "y"], np.array([0, 1]), before).tolist() == [6, 7], "new people, numbers never used"
    assert stable_numbers(["x", "y"], np.array([0, 1]), {}).tolist() == [0, 1]


def test_the_picture_is_the_same_for_the_same_groups(fitted: BrandClusters, tmp_path: Path) -> None:
    one, other = (draw_clusters(fitted, tmp_path / name, prefix="m").read_bytes() for name in ("a.svg", "b.svg"))
    assert one == other
    assert b"<svg" in one
    flat = BrandClusters(["u1", "u2"], np.array([0, 0]), np.ones((2, 1)), {0: "Acme"})
    assert draw_clusters(flat, tmp_path / "flat.png").stat().st_size > 0
