"""Brand groups by Spark ML: the contract, and the same groups as scikit-learn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from segments.families.brand import BrandSettings
from spark_jobs.features.brand_clusters import NOBODY, BrandClusters, fit_brand_clusters
from spark_jobs.features.spark_clusters import fit_on_spark
from tests.contracts.brand_groups import SETTINGS, BrandGroupsContract, Shoppers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class TestSparkMl(BrandGroupsContract):
    session: ClassVar[SparkSession]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _spark(cls, spark: SparkSession) -> None:
        cls.session = spark

    @classmethod
    def fitted(
        cls, rows: Shoppers, settings: BrandSettings = SETTINGS, previous: BrandClusters = NOBODY
    ) -> BrandClusters:
        frame = pd.DataFrame({"user_id": rows.users, "word": rows.brands, "weight": rows.counts})
        return fit_on_spark(cls.session.createDataFrame(frame), settings, previous=previous)

    def test_the_same_groups_as_scikit_learns(self, planted: Shoppers, found: BrandClusters) -> None:
        local = fit_brand_clusters(planted.users, planted.brands, planted.counts, SETTINGS)
        assert local.users == found.users
        assert adjusted_rand_score(local.numbers, found.numbers) >= 0.9
