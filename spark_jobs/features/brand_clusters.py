"""Users grouped by the brands they choose: a user's brands as a document → TF-IDF → LDA → KMeans.

LDA after Blei, Ng, Jordan (JMLR 2003), fitted online (Hoffman, Blei, Bach, NIPS 2010); KMeans works on the square
roots of the topic shares, where Euclidean distance is Hellinger distance. A snapshot continues the topics and the
groups of the one before, as online LDA does with new documents: cheaper than a fresh start, and people stay put.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import TfidfTransformer
from threadpoolctl import threadpool_limits

from segments.families.brand import BrandSettings
from spark_jobs.features.balanced_groups import Floats, Numbers, balanced_groups, centres_of, stable_numbers


@dataclass(frozen=True)
class BrandClusters:
    """Who is in which group, and what the groups are like.

    Attributes:
        users: the users that have a group.
        numbers: group of each of them.
        mixtures: square roots of topic shares, (users, topics): where the groups were cut.
        labels: the most distinctive brands of each group.
        topics: weight of each brand in each topic: what the next snapshot starts from.
    """

    users: list[str] = field(default_factory=list)
    numbers: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    mixtures: Floats = field(default_factory=lambda: np.zeros((0, 1)))
    labels: dict[int, str] = field(default_factory=dict)
    topics: dict[str, Floats] = field(default_factory=dict)

    @property
    def group_of(self) -> dict[str, int]:
        """Group number by user."""
        return dict(zip(self.users, self.numbers.tolist(), strict=True))


NOBODY = BrandClusters()


def fit_brand_clusters(
    users: Sequence[str],
    brands: Sequence[str],
    counts: Floats,
    settings: BrandSettings,
    *,
    previous: BrandClusters = NOBODY,
    names: dict[str, str] | None = None,
) -> BrandClusters:
    """Groups users; the rows must all be earlier than the moment from which the groups are used.

    Args:
        users, brands, counts: one row a (user, brand), in any order; how often the user chose the brand.
        settings: how many topics and groups, how small and how large a group may be.
        previous: the groups of the snapshot before: a group keeps the number of the one it shares most users with.
        names: words for brand ids, for the labels.

    Returns:
        The groups; nobody is in one when fewer than `min_users` users chose `min_brands` brands.
    """
    people, words, matrix = _documents(users, brands, np.asarray(counts, dtype=np.float64), settings)
    if len(people) < settings.min_users or len(words) < 2:
        return NOBODY
    # Users by topics is small: threads would spend their time waiting for each other, and add in another order.
    with threadpool_limits(1):
        return _grouped(people, words, matrix, settings, previous, names or {})


def _grouped(
    people: list[str],
    words: list[str],
    matrix: Any,
    settings: BrandSettings,
    previous: BrandClusters,
    names: dict[str, str],
) -> BrandClusters:
    weights = TfidfTransformer(sublinear_tf=True, norm="l2").fit_transform(matrix)
    # A document of unit length has hardly any words; the prior would outweigh it. Give it back its number of brands.
    lengths = np.sqrt(np.maximum(matrix.getnnz(axis=1), 1))
    weights = csr_matrix(weights.multiply(lengths[:, None]))
    topics = _topics(weights, words, settings, previous.topics)
    mixtures = np.sqrt(np.asarray(topics.transform(weights), dtype=np.float64))
    # Centres of the groups before, in today's topics: where their users are now.
    before = previous.group_of
    known = np.asarray([before.get(user, -1) for user in people], dtype=np.int64)
    held = np.unique(known[known >= 0], return_inverse=True)[1].astype(np.int64)
    start = centres_of(mixtures[known >= 0], held) if len(held) else None
    numbers = stable_numbers(people, balanced_groups(mixtures, settings, start=start), before)
    learned = dict(zip(words, np.asarray(topics.components_, dtype=np.float64).T, strict=True))
    return BrandClusters(people, numbers, mixtures, _labels(numbers, matrix, words, names), learned)


def _documents(
    users: Sequence[str], brands: Sequence[str], counts: Floats, settings: BrandSettings
) -> tuple[list[str], list[str], Any]:
    """Users × brands, both sorted by name so that the order of the rows does not matter."""
    people, user_at = np.unique(np.asarray(users, dtype=object).astype(str), return_inverse=True)
    words, brand_at = np.unique(np.asarray(brands, dtype=object).astype(str), return_inverse=True)
    matrix = csr_matrix((counts, (user_at, brand_at)), shape=(len(people), len(words)))
    matrix.eliminate_zeros()
    kept = np.argsort(-matrix.getnnz(axis=0), kind="stable")[: settings.vocabulary]
    kept.sort()
    matrix = matrix[:, kept]
    told = np.flatnonzero(matrix.getnnz(axis=1) >= settings.min_brands)
    return people[told].tolist(), words[kept].tolist(), matrix[told]


def _topics(weights: Any, words: list[str], settings: BrandSettings, before: dict[str, Floats]) -> Any:
    """A fitted LDA; it continues from `before` where there is something to continue from."""
    model = LatentDirichletAllocation(
        n_components=min(settings.topics, len(words)),
        learning_method="online",
        batch_size=512,
        max_iter=settings.passes,
        max_doc_update_iter=30,
        random_state=settings.seed,
    )
    if not before or len(next(iter(before.values()))) != model.n_components:
        return model.fit(weights)
    # One row makes the model allocate itself for these words; then the topics learned before take their places.
    model.partial_fit(weights[:1])
    faint = np.min(list(before.values()), axis=0)
    components = np.asarray([before.get(word, faint) for word in words]).T
    model.components_ = components
    model.exp_dirichlet_component_ = np.exp(psi(components) - psi(components.sum(axis=1))[:, None])
    for _ in range(max(1, settings.passes // 4)):
        for begin in range(0, weights.shape[0], 512):
            model.partial_fit(weights[begin : begin + 512])
    return model


def _labels(numbers: Numbers, matrix: Any, words: list[str], names: dict[str, str], top: int = 3) -> dict[int, str]:
    """Brands by how much more often the group's users choose them than everybody: p · log(p / q), smoothed."""
    chosen = matrix > 0
    overall = (np.asarray(chosen.sum(axis=0)).ravel() + 1.0) / (len(numbers) + 2.0)
    labels = {}
    for number in np.unique(numbers).tolist():
        inside = np.asarray(numbers == number)
        share = (np.asarray(chosen[inside].sum(axis=0)).ravel() + overall) / (inside.sum() + 1.0)
        best = np.argsort(-share * np.log(share / overall), kind="stable")[:top]
        labels[int(number)] = ", ".join(names.get(words[at], words[at]) for at in best)
    return labels
