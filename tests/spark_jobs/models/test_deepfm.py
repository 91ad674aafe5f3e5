from __future__ import annotations

from spark_jobs.models.settings import DeepFMSettings
from tests.contracts.ranker import RankerContract


class TestDeepFM(RankerContract):
    SETTINGS = DeepFMSettings(dim=4, hidden=(16, 8))
    LEAST_AUC = 0.78


class TestDeepFMNormalised(RankerContract):
    SETTINGS = DeepFMSettings(dim=4, hidden=(16, 8), batch_norm=True, dropout=0.1)
    LEAST_AUC = 0.78
