from __future__ import annotations

from spark_jobs.models.multi_task_settings import MMoESettings, MultiTaskSettings, PLESettings, SharedBottomSettings
from tests.contracts.ranker import RankerContract


class TestSharedBottom(RankerContract):
    SETTINGS: MultiTaskSettings = SharedBottomSettings(dim=4, hidden=(16, 8), tower=(8,), dropout=0.1)
    LEAST_AUC = 0.75


class TestMMoE(TestSharedBottom):
    SETTINGS = MMoESettings(dim=4, hidden=(16, 8), tower=(8,), experts=3)


class TestPLE(TestSharedBottom):
    SETTINGS = PLESettings(dim=4, hidden=(16, 8), tower=(8,), own=2, shared=1, levels=2)
