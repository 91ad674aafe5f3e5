from __future__ import annotations

import numpy as np
import pytest
import torch

from spark_jobs.models import grid as room
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.folding import folded, pair_flops
from spark_jobs.models.grid import Grid, encode
from spark_jobs.models.registry import build, model_settings
from tests.contracts.ranker import SCHEMA, items_of

DEEP = {"dim": 4, "hidden": [16, 8], "batch_norm": True, "dropout": 0.2}
KINDS = [
    {"kind": "deepfm", **DEEP},
    {"kind": "dcn", **DEEP},
    {"kind": "dcnv2", **DEEP},
    {"kind": "dcnv2", "structure": "stacked", "rank": 2, **DEEP},
]


def used(values: dict[str, object]) -> Checkpoint:
    """An untrained network whose normalisation has seen rows of another scale, and whose weights are far from zero."""
    settings, encoder = model_settings(values), Encoder(SCHEMA)
    network = build(settings, encoder, seed=3)
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random) * 0.3)
        network.train()(encode(encoder, items_of(60)))
    return Checkpoint(settings, encoder, network.eval())


@pytest.mark.parametrize("values", KINDS)
def test_a_folded_tail_gives_the_same_and_leaves_the_tail_alone(values: dict[str, object]) -> None:
    tail = used(values).model.tail
    before = {name: value.clone() for name, value in tail.state_dict().items()}
    fast = folded(tail)
    width = used(values).model.item_part(encode(Encoder(SCHEMA), items_of(1))).hidden.shape[1]
    for rows in (5, 40, 1):
        hidden = torch.randn(rows, width, generator=torch.Generator().manual_seed(rows))
        with torch.inference_mode():
            expected = tail(hidden.clone())
            assert torch.allclose(fast(hidden), expected, atol=1e-5, rtol=1e-5)
    assert tail.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in tail.state_dict().items())


@pytest.mark.parametrize("values", KINDS)
@pytest.mark.parametrize("block", [1, 64, 1000])
def test_any_cut_into_blocks_gives_the_same(
    values: dict[str, object], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, segments = used(values), [{"taste": f"t{k}"} for k in range(7)]
    whole = Grid(checkpoint).logits(items_of(30), segments)
    monkeypatch.setattr(room, "BLOCK", block)
    assert np.allclose(Grid(checkpoint).logits(items_of(30), segments), whole, atol=1e-5)


def test_operations_of_a_pair_are_those_of_its_matrix_products() -> None:
    settings = model_settings({"kind": "deepfm", "hidden": [400, 400, 400], "batch_norm": True})
    assert pair_flops(build(settings, Encoder(SCHEMA), seed=1).tail) == 2 * (400 * 400 + 400 * 400 + 400)
    assert pair_flops(None) == 0.0
