"""Users grouped by what they choose, on arrays with scikit-learn: a document a user → TF-IDF → LDA → KMeans.

LDA after Blei, Ng, Jordan (JMLR 2003), fitted online (Hoffman, Blei, Bach, NIPS 2010); KMeans works on the square
roots of the topic shares, where Euclidean distance is Hellinger distance. A snapshot continues the topics and the
groups of the one before, as online LDA does with new documents: cheaper than a fresh start, and people stay put.

`spark_clusters` makes the same of more users than fit here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import TfidfTransformer
from threadpoolctl import threadpool_limits

from segments.families.brand import BrandSettings
from spark_jobs.features.balanced_groups import Floats, Numbers, balanced_groups, centres_of
from spark_jobs.features.stable_numbers import stable_numbers

# Of the online LDA, here and on Spark: how much the first batches count, and how fast that falls.
LEARNING = {"offset": 10.0, "decay": 0.7}


@dataclass(frozen=True)
class Tastes:
    """What users choose, as shares of topics: what groups are cut from.

    Attributes:
        users: sorted.
        words: sorted.
        matrix: (users, words) sparse: how much a user chose a word.
        mixtures: (users, topics): square roots of the users' topic shares.
        topics: (topics, words): how much a word weighs in a topic, not normalised.
    """

    users: list[str]
    words: list[str]
    matrix: Any
    mixtures: Floats
    topics: Floats


@dataclass(frozen=True)
class BrandClusters:
    """Who is in which group, and what the groups are like.

    Attributes:
        users: the users that have a group, sorted.
        numbers: group of each of them.
        mixtures: square roots of topic shares, (users, topics): where the groups were cut.
        favourites: the most distinctive words of each group, the most distinctive first.
        topics: weight of each word in each topic: what the next snapshot starts from.
    """

    users: list[str] = field(default_factory=list)
    numbers: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    mixtures: Floats = field(default_factory=lambda: np.zeros((0, 1)))
    favourites: dict[int, tuple[str, ...]] = field(default_factory=dict)
    topics: dict[str, Floats] = field(default_factory=dict)

    @property
    def group_of(self) -> dict[str, int]:
        """Group number by user."""
        return dict(zip(self.users, self.numbers.tolist(), strict=True))

    def labels(self, names: Mapping[str, str] | None = None) -> dict[int, str]:
        """What people read of each group: its favourites, by their names where they have one."""
        called = names or {}
        return {
            number: ", ".join(called.get(word, word) for word in words) for number, words in self.favourites.items()
        }


NOBODY = BrandClusters()


def fit_brand_clusters(
    users: Sequence[str],
    words: Sequence[str],
    weights: Floats,
    settings: BrandSettings,
    *,
    previous: BrandClusters = NOBODY,
) -> BrandClusters:
    """Groups users; the rows must all be earlier than the moment from which the groups are used.

    Args:
        users, words, weights: one row a (user, word), in any order; how much the user chose the word.
        settings: how many topics and groups, how small and how large a group may be.
        previous: the groups of the snapshot before: a group keeps the number of the one it shares most users with.

    Returns:
        The groups; nobody is in one when fewer than `min_users` users chose `min_brands` words.
    """
    tastes = fit_tastes(users, words, weights, settings, before=previous.topics)
    if tastes is None:
        return NOBODY
    numbers = cut_groups(tastes.users, tastes.mixtures, settings, previous=previous)
    learned = dict(zip(tastes.words, tastes.topics.T, strict=True))
    liked = favourites(numbers, tastes.matrix, tastes.words)
    return BrandClusters(tastes.users, numbers, tastes.mixtures, liked, learned)


def fit_tastes(
    users: Sequence[str],
    words: Sequence[str],
    weights: Floats,
    settings: BrandSettings,
    *,
    before: Mapping[str, Floats] | None = None,
) -> Tastes | None:
    """The users' topic shares; None when fewer than `min_users` users chose `min_brands` words.

    Args:
        users, words, weights: one row a (user, word), in any order.
        settings: vocabulary, topics, passes and seed.
        before: weights of each word in topics to go on from.
    """
    people, kept, matrix = _documents(users, words, np.asarray(weights, dtype=np.float64), settings)
    if len(people) < settings.min_users or len(kept) < 2:
        return None
    # Users by topics is small: threads would spend their time waiting for each other, and add in another order.
    with threadpool_limits(1):
        documents = matrix.copy()
        documents.data = damped(documents.data)
        documents = TfidfTransformer(norm="l2").fit_transform(documents)
        # A document of unit length has hardly any words; the prior would outweigh it. Give it back its number of words.
        lengths = np.sqrt(np.maximum(matrix.getnnz(axis=1), 1))
        documents = csr_matrix(documents.multiply(lengths[:, None]))
        model = _topics(documents, kept, settings, before or {})
        shares = np.asarray(model.transform(documents), dtype=np.float64)
    return Tastes(people, kept, matrix, np.sqrt(shares), np.asarray(model.components_, dtype=np.float64))


def cut_groups(
    people: Sequence[str],
    mixtures: Floats,
    settings: BrandSettings,
    *,
    previous: BrandClusters = NOBODY,
    start: Floats | None = None,
) -> Numbers:
    """Group of each user: balanced, and numbered as before.

    Args:
        people: users.
        mixtures: (users, topics), a point each.
        settings: how many groups, how small and how large.
        previous: the groups before; the cut starts from where their users are now.
        start: centres to start from where there are no groups before.
    """
    before = previous.group_of
    known = np.asarray([before.get(user, -1) for user in people], dtype=np.int64)
    held = np.unique(known[known >= 0], return_inverse=True)[1].astype(np.int64)
    if len(held):
        start = centres_of(mixtures[known >= 0], held)
    with threadpool_limits(1):
        numbers = balanced_groups(mixtures, settings, start=start)
    return stable_numbers(people, numbers, before)


def damped(counts: Floats) -> Floats:
    """1 + ln n of n ≥ 1 choices, and what has faded below one choice as it is: the tenth says less than the first."""
    return np.where(counts < 1.0, counts, 1.0 + np.log(np.maximum(counts, 1.0)))


def favourites(numbers: Numbers, matrix: Any, words: Sequence[str], *, top: int = 3) -> dict[int, tuple[str, ...]]:
    """Words by how much more often a group's users choose them than everybody: p · log(p / q), smoothed.

    Args:
        numbers: group of each user.
        matrix: (users, words) sparse.
        words: of the columns.
        top: so many of each group.
    """
    chosen = matrix > 0
    overall = (np.asarray(chosen.sum(axis=0)).ravel() + 1.0) / (len(numbers) + 2.0)
    found = {}
    for number in np.unique(numbers).tolist():
        inside = np.asarray(numbers == number)
        share = (np.asarray(chosen[inside].sum(axis=0)).ravel() + overall) / (inside.sum() + 1.0)
        best = np.argsort(-share * np.log(share / overall), kind="stable")[:top]
        found[int(number)] = tuple(words[at] for at in best)
    return found


def _documents(
    users: Sequence[str], words: Sequence[str], weights: Floats, settings: BrandSettings
) -> tuple[list[str], list[str], Any]:
    """Users × words, both sorted by name so that the order of the rows does not matter."""
    people, user_at = np.unique(np.asarray(users, dtype=object).astype(str), return_inverse=True)
    found, word_at = np.unique(np.asarray(words, dtype=object).astype(str), return_inverse=True)
    matrix = csr_matrix((weights, (user_at, word_at)), shape=(len(people), len(found)))
    matrix.eliminate_zeros()
    kept = np.argsort(-matrix.getnnz(axis=0), kind="stable")[: settings.vocabulary]
    kept.sort()
    matrix = matrix[:, kept]
    told = np.flatnonzero(matrix.getnnz(axis=1) >= settings.min_brands)
    return people[told].tolist(), found[kept].tolist(), matrix[told]


def _topics(documents: Any, words: list[str], settings: BrandSettings, before: Mapping[str, Floats]) -> Any:
    """A fitted LDA; it continues from `before` where there is something to continue from."""
    model = LatentDirichletAllocation(
        n_components=min(settings.topics, len(words)),
        learning_method="online",
        learning_offset=LEARNING["offset"],
        learning_decay=LEARNING["decay"],
        batch_size=512,
        max_iter=settings.passes,
        max_doc_update_iter=30,
        random_state=settings.seed,
    )
    if not before or len(next(iter(before.values()))) != model.n_components:
        return model.fit(documents)
    # One row makes the model allocate itself for these words; then the topics learned before take their places.
    model.partial_fit(documents[:1])
    faint = np.min(list(before.values()), axis=0)
    components = np.asarray([before.get(word, faint) for word in words]).T
    model.components_ = components
    model.exp_dirichlet_component_ = np.exp(psi(components) - psi(components.sum(axis=1))[:, None])
    for _ in range(max(1, settings.passes // 4)):
        for begin in range(0, documents.shape[0], 512):
            model.partial_fit(documents[begin : begin + 512])
    return model
