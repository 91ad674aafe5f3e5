from __future__ import annotations

from itertools import combinations

import pytest
import torch

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.ranker import Batch
from spark_jobs.models.registry import build
from spark_jobs.models.settings import FMSettings
from tests.contracts.ranker import RankerContract


class TestFM(RankerContract):
    SETTINGS = FMSettings(dim=4)
    LEAST_AUC = 0.78


def test_pairwise_term_is_the_sum_over_all_pairs_of_fields() -> None:
    roles = ("item", "item", "segment", "context")
    schema = FieldSchema(fields=tuple(Field(name=f"f{i}", buckets=8, role=role) for i, role in enumerate(roles)))
    model = build(FMSettings(dim=3), Encoder(schema), seed=1)
    with torch.no_grad():
        model.sides.table.copy_(torch.randn(model.sides.table.shape, generator=torch.Generator().manual_seed(2)))
    rows = torch.tensor([[2, 13, 25, 31], [4, 11, 21, 39]])
    logits = model(Batch(rows, torch.zeros(2, 0), torch.zeros(2, 0)))
    for row, logit in zip(rows, logits, strict=True):
        picked = model.sides.table[row]
        pairs = sum(picked[a, :3] @ picked[b, :3] for a, b in combinations(range(4), 2))
        assert logit.item() == pytest.approx((picked[:, 3].sum() + pairs).item(), abs=1e-5)
