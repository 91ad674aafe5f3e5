from __future__ import annotations

from spark_jobs.models.settings import WideDeepSettings
from tests.contracts.ranker import RankerContract


class TestWideDeep(RankerContract):
    SETTINGS = WideDeepSettings(dim=4, hidden=(16, 8), dropout=0.1)
    LEAST_AUC = 0.76
