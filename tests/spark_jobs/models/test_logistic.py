from __future__ import annotations

import pytest

from segments.errors import UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import LogisticSettings
from tests.contracts.ranker import RankerContract


class TestLogistic(RankerContract):
    SETTINGS = LogisticSettings()
    LEAST_AUC = 0.70


def test_one_weight_a_row_and_one_constant() -> None:
    schema = FieldSchema(fields=(Field(name="a", buckets=5_387),))
    assert sum(p.numel() for p in build(LogisticSettings(), Encoder(schema), seed=1).parameters()) == 5_390


def test_unknown_models_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known: deepfm"):
        model_settings({"kind": "deepfn"})
    with pytest.raises(UsageError, match="dims"):
        model_settings({"kind": "deepfm", "dims": 3})
