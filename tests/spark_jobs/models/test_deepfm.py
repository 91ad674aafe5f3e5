from __future__ import annotations

from itertools import combinations

import pytest
import torch

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.ranker import Batch
from spark_jobs.models.registry import build
from spark_jobs.models.settings import DeepFMSettings
from tests.contracts.ranker import RankerContract


class TestDeepFM(RankerContract):
    SETTINGS = DeepFMSettings(dim=4, hidden=(16, 8))
    LEAST_AUC = 0.78


class TestDeepFMNormalised(RankerContract):
    SETTINGS = DeepFMSettings(dim=4, hidden=(16, 8), batch_norm=True, dropout=0.1)
    LEAST_AUC = 0.78


class TestFactorisationMachine(RankerContract):
    SETTINGS = DeepFMSettings(dim=4, hidden=())
    LEAST_AUC = 0.78


def test_pairwise_term_is_the_sum_over_all_pairs_of_fields() -> None:
    roles = ("item", "item", "segment", "context")
    schema = FieldSchema(fields=tuple(Field(name=f"f{i}", buckets=8, role=role) for i, role in enumerate(roles)))
    model = build(DeepFMSettings(dim=3, hidden=()), Encoder(schema), seed=1)
    with torch.no_grad():
        model.table.copy_(torch.randn(model.table.shape, generator=torch.Generator().manual_seed(2)))
    rows = torch.tensor([[2, 13, 25, 31], [4, 11, 21, 39]])
    logits = model(Batch(rows, torch.zeros(2, 0), torch.zeros(2, 0)))
    for row, logit in zip(rows, logits, strict=True):
        picked = model.table[row]
        pairs = sum(picked[a, :3] @ picked[b, :3] for a, b in combinations(range(4), 2))
        assert logit.item() == pytest.approx((picked[:, 3].sum() + pairs).item(), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (DeepFMSettings(dim=10, hidden=()), 59_280),  # 11 V + 1
        (DeepFMSettings(dim=10, hidden=(400, 400, 400), batch_norm=True), 423_280),  # 11 V + the deep part's 364,001
    ],
)
def test_parameters_are_those_of_the_paper(settings: DeepFMSettings, count: int) -> None:
    # 10 fields, 5,389 rows of the table in all.
    sizes = [8] * 9 + [5_389 - 9 * 10 - 2]
    schema = FieldSchema(fields=tuple(Field(name=f"f{i}", buckets=size) for i, size in enumerate(sizes)))
    assert sum(p.numel() for p in build(settings, Encoder(schema), seed=1).parameters()) == count
