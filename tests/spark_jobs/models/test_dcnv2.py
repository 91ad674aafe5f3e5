from __future__ import annotations

import pytest
import torch

from spark_jobs.models.settings import DCNv2Settings
from tests.contracts.ranker import RankerContract, drawn_anew


class TestDCNv2(RankerContract):
    SETTINGS = DCNv2Settings(dim=4, hidden=(16, 8), crosses=2, batch_norm=True)
    LEAST_AUC = 0.76


class TestDCNv2Stacked(RankerContract):
    SETTINGS = DCNv2Settings(dim=4, hidden=(16, 8), crosses=2, structure="stacked", batch_norm=True)
    LEAST_AUC = 0.76


class TestDCNv2LowRank(RankerContract):
    SETTINGS = DCNv2Settings(dim=4, hidden=(16, 8), crosses=2, rank=3)
    LEAST_AUC = 0.76


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
@pytest.mark.parametrize("rank", [0, 3])
def test_the_crosses_are_those_of_the_paper_layer_by_layer(structure: str, rank: int) -> None:
    settings = DCNv2Settings(dim=4, hidden=(16, 8), crosses=3, structure=structure, rank=rank)  # type: ignore[arg-type]
    model, batch = drawn_anew(settings)
    item, viewer = model.sides(batch)
    start = torch.cat([item.deep(), viewer.deep()], 1)
    x = start
    for cross in (None, *model.tail.crosses):
        if cross is not None:
            product = cross(x)
        else:
            product = x @ model.cross.whole().T
            product = model.tail.lift(product) if rank else product + model.cross.bias
        x = start * product + x
    if structure == "stacked":
        expected = model.tail.deep(x)
    else:
        first = model.first.of_item(item.deep()) + model.first.of_viewer(viewer.deep())
        expected = model.tail.out(x) + model.tail.deep(first)
    assert torch.allclose(model(batch), model.bias + expected.squeeze(1), atol=1e-9, rtol=1e-9)
