from __future__ import annotations

import torch

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.ranker import Batch
from spark_jobs.models.registry import build
from spark_jobs.models.settings import LogisticSettings
from tests.contracts.ranker import RankerContract


class TestLogistic(RankerContract):
    SETTINGS = LogisticSettings()
    LEAST_AUC = 0.70


def test_table_rows_beyond_what_floats_hold_are_kept_apart() -> None:
    schema = FieldSchema(fields=(Field(name="user", buckets=2**24 + 8),))
    model = build(LogisticSettings(), Encoder(schema), seed=1)
    rows = torch.arange(2**24 - 1, 2**24 + 6, dtype=torch.int32)[:, None]
    with torch.no_grad():
        model.sides.table[-12:] = torch.arange(12.0)[:, None]
        logits = model(Batch(rows, torch.zeros(7, 0), torch.zeros(7, 0)))
    assert (logits.diff() == 1.0).all()
