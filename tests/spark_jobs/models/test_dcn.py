from __future__ import annotations

import torch

from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Tensors
from spark_jobs.models.registry import build
from spark_jobs.models.settings import DCNSettings
from tests.contracts.ranker import SCHEMA, RankerContract, examples


class TestDCN(RankerContract):
    SETTINGS = DCNSettings(dim=4, hidden=(16, 8), crosses=3)
    LEAST_AUC = 0.76


class TestDCNOneCross(RankerContract):
    SETTINGS = DCNSettings(dim=4, hidden=(16, 8), crosses=1, batch_norm=True)
    LEAST_AUC = 0.76


def test_the_crosses_are_those_of_the_paper_layer_by_layer() -> None:
    encoder = Encoder(SCHEMA)
    model = build(DCNSettings(dim=4, hidden=(16, 8), crosses=3), encoder, seed=1).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)) * 0.4)
    batch = Tensors(examples(50), encoder).batch(slice(0, 50))
    batch = batch._replace(numeric=batch.numeric.double(), vectors=batch.vectors.double())
    item, viewer = model.sides(batch)
    start = torch.cat([item.deep(), viewer.deep()], 1)
    weights = model.tail.weights.whole()
    x = start
    for w, b in zip(weights, model.tail.shifts, strict=False):
        x = start * (x @ w)[:, None] + b + x
    deep = model.tail.deep(model.first.of_item(item.deep()) + model.first.of_viewer(viewer.deep())).squeeze(1)
    assert torch.allclose(model(batch), model.bias + x @ weights[-1] + deep, atol=1e-9, rtol=1e-9)
