"""Who is in which segment, night by night: the cuts of step `fit_segments`, from arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segments.catalogue import Catalogue, Cut, everyone
from segments.families.brand import BrandSettings, cut_by_brand
from segments.families.crossed import CrossedSettings, cut_by_crossing
from segments.families.demographic import DemographicSettings, cut_by_demographics
from segments.families.grade import GradeSettings, cut_by_grade
from spark_jobs.features.brand_clusters import NOBODY, BrandClusters, fit_brand_clusters
from spark_jobs.loop.log import Places
from spark_jobs.recipe import Recipe
from spark_jobs.sources.world_day import user_id
from spark_jobs.sources.world_truth import AGES, GENDERS, GRADES, Floats, Truth


@dataclass(frozen=True)
class Snapshot:
    """Everybody's segments as of a midnight.

    Attributes:
        catalogue: all segments, and who serves them.
        families: of each user, by number: family → segment id.
    """

    catalogue: Catalogue
    families: list[Mapping[str, str]]

    def column(self, family: str) -> list[str | None]:
        """Each user's segment of a family, None without one."""
        return [told.get(family) for told in self.families]

    def serving(self, variant: str) -> list[str]:
        """The segment that serves each user in a variant."""
        chain = self.catalogue.chain(variant)
        # Few differ in what the chain looks at: each of them is resolved once.
        known: dict[tuple[str | None, ...], str] = {}
        found = []
        for told in self.families:
            key = tuple(told.get(family) for family in chain)
            if key not in known:
                known[key] = self.catalogue.resolve(told, variant)
            found.append(known[key])
        return found


class Snapshots:
    """One a week for the examples, and one each night for serving, each continuing the brand groups of the last week's.

    Args:
        recipe: its families.
        truth: users and their attributes, which carry no date.
    """

    def __init__(self, recipe: Recipe, truth: Truth) -> None:
        self.recipe, self.truth = recipe, truth
        self.names = [user_id(n) for n in range(truth.settings.users)]
        self.points = dict(zip(self.names, truth.points().astype(float).tolist(), strict=True))
        self.traits: dict[str, dict[str, str | None]] = {
            name: {"gender": GENDERS[truth.gender[n]], "age": AGES[truth.age[n]], "grade": GRADES[truth.grade[n]]}
            for n, name in enumerate(self.names)
        }
        self.weekly: dict[int, Snapshot] = {}
        self._groups: dict[str, BrandClusters] = {}

    def known(self, day: int) -> Snapshot | None:
        """The one that a visit of a day joins: the last of a week at or before it."""
        last = max((date for date in self.weekly if date <= day), default=None)
        return None if last is None else self.weekly[last]

    def tonight(self, log: Places, day: int) -> Snapshot:
        """As of the midnight that begins a day, from what was logged before it; weeks passed are filled in first."""
        every = self.recipe.features.snapshot_days
        for date in range(every, day, every):
            if date not in self.weekly:
                self.weekly[date], self._groups = self._cut(log.where(log.day < date), self._groups)
        return self._cut(log.where(log.day < day), self._groups)[0]

    def _cut(self, log: Places, before: Mapping[str, BrandClusters]) -> tuple[Snapshot, dict[str, BrandClusters]]:
        cuts: dict[str, Cut] = {}
        groups: dict[str, BrandClusters] = {}
        for name, family in self.recipe.families.items():
            if isinstance(family, DemographicSettings):
                cuts[name] = cut_by_demographics(self.traits, family, family=name)
            elif isinstance(family, GradeSettings):
                cuts[name] = cut_by_grade(self.points, family, family=name)
            elif isinstance(family, CrossedSettings):
                cuts[name] = cut_by_crossing(cuts, family, family=name)
            else:
                groups[name] = self._clusters(log, family, before.get(name, NOBODY))
                cuts[name] = cut_by_brand(groups[name].group_of, groups[name].labels(), family, family=name)
        segments = (everyone(len(self.names)), *(segment for cut in cuts.values() for segment in cut.segments))
        variants = {name: variant.families for name, variant in self.recipe.variants.items()}
        catalogue = Catalogue(families=tuple(self.recipe.families), segments=segments, variants=variants)
        told: list[Mapping[str, str]] = [
            {name: cut.segment_of[user] for name, cut in cuts.items() if user in cut.segment_of} for user in self.names
        ]
        return Snapshot(catalogue, told), groups

    def _clusters(self, log: Places, family: BrandSettings, before: BrandClusters) -> BrandClusters:
        columns = {"click": log.clicked, "purchase": log.bought}
        chosen = sum(columns[action].astype(np.int64) for action in family.actions)
        brands = self.truth.settings.brands
        cell = log.user * brands + self.truth.products.brand[log.item]
        counts: Floats = np.zeros(len(self.names) * brands)
        np.add.at(counts, cell, chosen)
        there = np.flatnonzero(counts)
        return fit_brand_clusters(
            [self.names[n] for n in (there // brands).tolist()], [f"brand {n:02d}" for n in (there % brands).tolist()],
            counts[there], family, previous=before,
        )  # fmt: skip
