"""A brand family at every date: documents, groups that go on from one date to the next, and last night's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spark_jobs.features.brand_clusters import NOBODY, BrandClusters, fit_brand_clusters
from spark_jobs.features.spark_clusters import fit_on_spark
from spark_jobs.features.stable_numbers import last_nights_numbers
from spark_jobs.features.taste_documents import documents_at, names_of, quiet_users, summed_choices

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame

    from segments.families.brand import BrandSettings


@dataclass(frozen=True)
class TasteSnapshots:
    """A family's groups at each date.

    Attributes:
        clusters: one a date, in order.
        labels: what people read of the last date's groups.
        quiet: users without a segment at the last date because they have chosen nothing for too long.
        backend: what fitted them, `scikit-learn` or `spark`.
    """

    clusters: tuple[BrandClusters, ...]
    labels: dict[int, str]
    quiet: int
    backend: str


def taste_snapshots(
    events: DataFrame,
    items: DataFrame,
    dates: Sequence[datetime],
    settings: BrandSettings,
    *,
    users: int,
    last_night: Mapping[str, int] | None = None,
) -> TasteSnapshots:
    """Groups users at each date by what they had chosen before it.

    Args:
        events, items: the tables.
        dates: rising.
        settings: of the family.
        users: how many there are: few are fitted by scikit-learn, many by Spark ML.
        last_night: group numbers by user as the night before served them: its names are kept.
    """
    on_spark = users >= settings.spark_from
    sums = summed_choices(events, items, dates, settings).persist()
    found: list[BrandClusters] = []
    for number in range(len(dates)):
        documents = documents_at(sums, number, dates, settings)
        previous = found[-1] if found else NOBODY
        if on_spark:
            found.append(fit_on_spark(documents, settings, previous=previous))
            continue
        rows = documents.toPandas()
        weights = rows["weight"].to_numpy(dtype=np.float64)
        found.append(
            fit_brand_clusters(rows["user_id"].tolist(), rows["word"].tolist(), weights, settings, previous=previous)
        )
    quiet = quiet_users(sums, dates[-1], settings).count()
    sums.unpersist()
    clusters = _as_last_night(found, last_night or {})
    liked = [word for words in clusters[-1].favourites.values() for word in words]
    labels = clusters[-1].labels(names_of(items, settings.documents, liked))
    return TasteSnapshots(tuple(clusters), labels, quiet, "spark" if on_spark else "scikit-learn")


def _as_last_night(found: list[BrandClusters], before: Mapping[str, int]) -> list[BrandClusters]:
    """All dates renumbered alike, so that the last one's groups are called as they were last night."""
    used = {number for clusters in found for number in clusters.favourites}
    renamed = last_nights_numbers(found[-1].users, found[-1].numbers, before, others=used)
    return [
        replace(
            clusters,
            numbers=np.asarray([renamed[number] for number in clusters.numbers.tolist()], dtype=np.int64),
            favourites={renamed[number]: words for number, words in clusters.favourites.items()},
        )
        for clusters in found
    ]
