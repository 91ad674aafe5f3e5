from __future__ import annotations

from spark_jobs.models.settings import LogisticSettings
from tests.contracts.ranker import RankerContract


class TestLogistic(RankerContract):
    SETTINGS = LogisticSettings()
    LEAST_AUC = 0.70
