"""What every way of fitting brand groups keeps: enrol one by a subclass with `fitted`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segments.families.brand import BrandSettings
from spark_jobs.features.brand_clusters import NOBODY, BrandClusters

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

    def and_one(self, user: str, *brands: str) -> Shoppers:
        names, counts = [*self.users, *(user for _ in brands)], np.append(self.counts, [9.0 for _ in brands])
        return Shoppers(names, [*self.brands, *brands], counts, self.taste)

    def agreement(self, clusters: BrandClusters) -> float:
        """Adjusted Rand index of the groups with the planted tastes."""
        return float(adjusted_rand_score([self.taste[user] for user in clusters.users], clusters.numbers))


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


class BrandGroupsContract:
    """A subclass tells how rows become groups."""

    # (rows, settings=SETTINGS, previous=NOBODY), a classmethod
    fitted: Callable[..., BrandClusters]

    @pytest.fixture(scope="class")
    @classmethod
    def planted(cls) -> Shoppers:
        return shoppers(400)

    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, planted: Shoppers) -> BrandClusters:
        """Groups of the planted shoppers; one more of too few brands stands among them."""
        return cls.fitted(planted.and_one("nobody in particular", "brand 00", "brand 01"))

    def test_planted_tastes_are_found(self, planted: Shoppers, found: BrandClusters) -> None:
        assert len(found.users) == 400
        assert planted.agreement(found) >= 0.9
        assert found.mixtures.shape == (400, 8)
        assert np.allclose((found.mixtures**2).sum(axis=1), 1.0)

    def test_users_of_few_brands_have_no_group(self, found: BrandClusters) -> None:
        assert "nobody in particular" not in found.group_of
        assert found.users == sorted(found.users)

    def test_a_groups_favourites_are_brands_of_its_taste(self, planted: Shoppers, found: BrandClusters) -> None:
        assert set(found.favourites) == set(found.group_of.values())
        for number, words in found.favourites.items():
            (liked,) = {int(brand.split()[1]) // BRANDS_EACH for brand in words}
            inside = [planted.taste[u] for u, g in found.group_of.items() if g == number]
            assert liked == max(set(inside), key=inside.count)

    def test_numbers_stay_from_one_snapshot_to_the_next(self, found: BrandClusters) -> None:
        later = self.fitted(shoppers(440, seed=4).shuffled(2), previous=found)
        stayed = [later.group_of[user] == number for user, number in found.group_of.items()]
        assert np.mean(stayed) >= 0.95
        assert set(later.group_of.values()) == set(found.group_of.values())

    def test_few_users_are_none(self) -> None:
        assert self.fitted(shoppers(19)) is NOBODY
