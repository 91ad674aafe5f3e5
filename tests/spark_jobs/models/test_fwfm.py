from __future__ import annotations

from itertools import combinations

import pytest
import torch

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.ranker import Batch
from spark_jobs.models.registry import build
from spark_jobs.models.settings import FwFMSettings
from tests.contracts.ranker import RankerContract


class TestFwFM(RankerContract):
    SETTINGS = FwFMSettings(dim=4)
    LEAST_AUC = 0.78


class TestFwFMFeatureVectors(RankerContract):
    SETTINGS = FwFMSettings(dim=4, linear="feature_vectors")
    LEAST_AUC = 0.78


class TestFwFMWeights(RankerContract):
    SETTINGS = FwFMSettings(dim=4, linear="weights")
    LEAST_AUC = 0.78


@pytest.mark.parametrize("roles", ["iisc", "issc", "iiii", "ssss", "isis"])
@pytest.mark.parametrize("linear", ["weights", "field_vectors", "feature_vectors"])
def test_every_pair_of_fields_has_its_own_strength(roles: str, linear: str) -> None:
    named = {"i": "item", "s": "segment", "c": "context"}
    fields = tuple(Field(name=f"f{i}", buckets=8, role=named[role]) for i, role in enumerate(roles))  # type: ignore[arg-type]
    model = build(FwFMSettings(dim=3, linear=linear), Encoder(FieldSchema(fields=fields)), seed=1)  # type: ignore[arg-type]
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random))
    rows = torch.tensor([[2, 13, 25, 31], [4, 11, 21, 39]])
    logits = model(Batch(rows, torch.zeros(2, 0), torch.zeros(2, 0)))
    # Fields stand item side first; r is the upper triangle of R, row by row.
    order = sorted(range(4), key=lambda f: roles[f] != "i")
    strength = dict(zip(combinations(range(4), 2), model.pairs.strength, strict=True))
    for row, logit in zip(rows, logits, strict=True):
        picked = model.sides.table[row[order]]
        expected = model.bias + sum(r * (picked[a, :3] @ picked[b, :3]) for (a, b), r in strength.items())
        if linear == "weights":
            expected = expected + picked[:, 3].sum()
        elif linear == "feature_vectors":
            expected = expected + (picked[:, :3] * picked[:, 3:]).sum()
        else:
            expected = expected + (picked * model.directions).sum()
        assert logit.item() == pytest.approx(expected.item(), abs=1e-4)
