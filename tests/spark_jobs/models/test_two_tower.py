from __future__ import annotations

import torch

from spark_jobs.models.encoding import Encoder
from spark_jobs.models.grid import encode
from spark_jobs.models.registry import build
from spark_jobs.models.settings import TwoTowerSettings
from tests.contracts.ranker import SCHEMA, RankerContract, items_of


class TestTwoTower(RankerContract):
    SETTINGS = TwoTowerSettings(dim=4, hidden=(16,), out=8)
    LEAST_AUC = 0.75


def test_vectors_have_the_length_of_the_scale() -> None:
    encoder = Encoder(SCHEMA)
    model = build(TwoTowerSettings(), encoder, seed=1)
    batch = encode(encoder, items_of(7))
    item, viewer = model.item_part(batch).vector, model.segment_part(batch).vector
    assert item is not None
    assert viewer is not None
    assert torch.allclose(item.norm(dim=1), torch.full((7,), 3.0))
    assert torch.allclose(viewer.norm(dim=1), torch.ones(7))
