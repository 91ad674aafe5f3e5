"""Users grouped by what they choose, with Spark ML: the same groups as `brand_clusters`, of millions of users.

What grows with the users is done in Spark: the documents, TF-IDF, the topic shares (LDA), the first centres (KMeans).
A sample of the users teaches the topics. The shares, a dozen numbers a user, come to the driver, where groups are
joined and halved as those of scikit-learn are. Spark ML cannot continue an LDA: each snapshot learns its topics anew,
and its groups start from where the users of those before are now.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from pyspark.ml.clustering import LDA, KMeans
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.linalg import SparseVector, Vectors, VectorUDT
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from spark_jobs.features.balanced_groups import Floats, groups_wanted
from spark_jobs.features.brand_clusters import LEARNING, NOBODY, BrandClusters, cut_groups, damped, favourites

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from segments.families.brand import BrandSettings

# The least share of the taught users in a batch of the LDA: each batch is a Spark job that passes all of them.
LEAST_BATCH = 0.25


def fit_on_spark(documents: DataFrame, settings: BrandSettings, *, previous: BrandClusters = NOBODY) -> BrandClusters:
    """Groups users, as `fit_brand_clusters` does.

    Args:
        documents: (user_id, word, weight), one row a pair, weights above 0.
        settings: how many topics and groups, how small and how large a group may be.
        previous: the groups of the snapshot before.

    Returns:
        The groups; nobody is in one when fewer than `min_users` users chose `min_brands` words.
    """
    documents = documents.persist()
    words = _vocabulary(documents, settings)
    told = _told(documents, words, settings).persist()
    users = told.count()
    documents.unpersist()
    if users < settings.min_users or len(words) < 2:
        told.unpersist()
        return NOBODY
    sampled = told.where(_one_in(ceil(users / settings.fit_users)))
    vectors = _vectors(told, len(words), users).persist()
    taught = vectors.where(_one_in(ceil(users / settings.fit_users)))
    model = _lda(taught, min(settings.topics, len(words)), settings)
    shares = (
        model.transform(vectors)
        .select("user_id", vector_to_array(F.col("topicDistribution")).alias("shares"))
        .persist()
    )
    people, mixtures = _collected(shares, model.getK())
    start = None if previous.users else _centres(shares, groups_wanted(users, settings), settings)
    numbers = cut_groups(people, mixtures, settings, previous=previous, start=start)
    liked = _favourites(sampled, people, numbers, words)
    topics = np.asarray(model.topicsMatrix().toArray(), dtype=np.float64)
    for frame in (told, vectors, shares):
        frame.unpersist()
    return BrandClusters(people, numbers, mixtures, liked, dict(zip(words, topics, strict=True)))


def _vocabulary(documents: DataFrame, settings: BrandSettings) -> list[str]:
    """The words that most users choose, sorted."""
    counted = documents.groupBy("word").count().orderBy(F.desc("count"), "word").limit(settings.vocabulary)
    return sorted(row["word"] for row in counted.collect())


def _told(documents: DataFrame, words: list[str], settings: BrandSettings) -> DataFrame:
    """(user_id, ats, weights): the users who chose enough words, in the same order within the same partitions."""
    places = documents.sparkSession.createDataFrame(
        list(zip(words, range(len(words)), strict=True)), "word STRING, at INT"
    )
    pairs = F.sort_array(F.collect_list(F.struct("at", "weight"))).alias("pairs")
    found = documents.join(F.broadcast(places), "word").groupBy("user_id").agg(pairs)
    enough = found.where(F.size("pairs") >= settings.min_brands)
    told = enough.select("user_id", F.col("pairs.at").alias("ats"), F.col("pairs.weight").alias("weights"))
    return told.sortWithinPartitions("user_id")


def _vectors(told: DataFrame, words: int, users: int) -> DataFrame:
    """(user_id, document): TF-IDF as scikit-learn's, of the length of the square root of the number of words."""
    counted = told.select(F.explode("ats").alias("at")).groupBy("at").count().collect()
    rarity = np.ones(words)
    for row in counted:
        rarity[row["at"]] = np.log((1.0 + users) / (1.0 + row["count"])) + 1.0
    shared = told.sparkSession.sparkContext.broadcast(rarity)

    def vector(ats: list[int], weights: list[float]) -> SparseVector:
        values = damped(np.asarray(weights)) * shared.value[ats]
        return Vectors.sparse(words, ats, values * np.sqrt(len(ats)) / np.linalg.norm(values))

    document = F.udf(vector, VectorUDT(), useArrow=False)("ats", "weights").alias("document")
    return told.select("user_id", document)


def _lda(documents: DataFrame, topics: int, settings: BrandSettings):  # type: ignore[no-untyped-def]
    """Spark's online LDA with scikit-learn's priors and learning rate; passes over all the documents in batches."""
    share = min(1.0, max(LEAST_BATCH, 512 / documents.count()))
    return LDA(
        k=topics,
        optimizer="online",
        optimizeDocConcentration=False,
        docConcentration=[1.0 / topics],
        topicConcentration=1.0 / topics,
        learningOffset=LEARNING["offset"],
        learningDecay=LEARNING["decay"],
        subsamplingRate=share,
        maxIter=ceil(settings.passes / share),
        seed=settings.seed,
        featuresCol="document",
    ).fit(documents)


def _collected(shares: DataFrame, topics: int) -> tuple[list[str], Floats]:
    """Users, sorted, and the square roots of their shares: as columns of numbers, not as a million small arrays."""
    columns = [F.col("shares")[at].alias(f"t{at}") for at in range(topics)]
    frame = shares.select("user_id", *columns).toPandas().sort_values("user_id", kind="stable")
    return frame["user_id"].tolist(), np.sqrt(frame.drop(columns="user_id").to_numpy(dtype=np.float64))


def _centres(shares: DataFrame, groups: int, settings: BrandSettings) -> Floats | None:
    if groups < 2:
        return None
    points = shares.select(array_to_vector(F.transform("shares", F.sqrt)).alias("point"))
    model = KMeans(k=groups, seed=settings.seed, featuresCol="point").fit(points)
    return np.asarray(model.clusterCenters(), dtype=np.float64)


def _favourites(told: DataFrame, people: list[str], numbers, words: list[str]) -> dict[int, tuple[str, ...]]:  # type: ignore[no-untyped-def]
    """The most distinctive words of each group, by the sampled users."""
    rows = told.toPandas()
    at = np.searchsorted(np.asarray(people), rows["user_id"].to_numpy(dtype=str))
    sizes = rows["ats"].str.len().to_numpy()
    columns = np.concatenate(rows["ats"].to_list())
    edges = np.concatenate([[0], np.cumsum(sizes)])
    chosen = csr_matrix((np.ones(len(columns)), columns, edges), shape=(len(rows), len(words)))
    return favourites(numbers[at], chosen, words)


def _one_in(parts: int) -> Column:
    """A sample by the hash of the user: the same users whatever the partitions."""
    return F.pmod(F.xxhash64("user_id"), F.lit(parts)) == 0
