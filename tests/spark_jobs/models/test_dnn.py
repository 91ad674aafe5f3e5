from __future__ import annotations

from spark_jobs.models.settings import DNNSettings
from tests.contracts.ranker import RankerContract


class TestDNN(RankerContract):
    SETTINGS = DNNSettings(dim=4, hidden=(16, 8))
    LEAST_AUC = 0.76
