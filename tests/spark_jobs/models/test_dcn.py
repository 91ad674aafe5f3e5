from __future__ import annotations

import torch

from spark_jobs.models.settings import DCNSettings
from tests.contracts.ranker import RankerContract, drawn_anew


class TestDCN(RankerContract):
    SETTINGS = DCNSettings(dim=4, hidden=(16, 8), crosses=3)
    LEAST_AUC = 0.76


class TestDCNOneCross(RankerContract):
    SETTINGS = DCNSettings(dim=4, hidden=(16, 8), crosses=1, batch_norm=True)
    LEAST_AUC = 0.76


def test_the_crosses_are_those_of_the_paper_layer_by_layer() -> None:
    model, batch = drawn_anew(DCNSettings(dim=4, hidden=(16, 8), crosses=3))
    item, viewer = model.sides(batch)
    start = torch.cat([item.deep(), viewer.deep()], 1)
    weights = model.tail.weights.whole()
    x = start
    for w, b in zip(weights, model.tail.shifts, strict=False):
        x = start * (x @ w)[:, None] + b + x
    deep = model.tail.deep(model.first.of_item(item.deep()) + model.first.of_viewer(viewer.deep())).squeeze(1)
    assert torch.allclose(model(batch), model.bias + x @ weights[-1] + deep, atol=1e-9, rtol=1e-9)
