from __future__ import annotations

import torch
from torch import nn

from spark_jobs.models.adam import Adam

SHAPES = {"table": (50, 3), "layer": (4, 7), "bias": ()}


def parameters() -> dict[str, nn.Parameter]:
    random = torch.Generator().manual_seed(1)
    return {name: nn.Parameter(torch.randn(shape, generator=random)) for name, shape in SHAPES.items()}


def slopes(step: int) -> dict[str, torch.Tensor | None]:
    """Of the step; the bias has none in the first two."""
    random = torch.Generator().manual_seed(10 + step)
    drawn = {name: torch.randn(shape, generator=random) for name, shape in SHAPES.items()}
    return {name: None if name == "bias" and step < 2 else slope for name, slope in drawn.items()}


def test_it_is_torchs_own_bit_for_bit() -> None:
    ours, theirs = parameters(), parameters()
    adam = Adam(ours, decay=0.01)
    reference = torch.optim.Adam(list(theirs.values()), lr=0.02, weight_decay=0.01, fused=True)
    for step in range(5):
        adam.forget_gradients()
        reference.zero_grad(set_to_none=True)
        for name, slope in slopes(step).items():
            ours[name].grad, theirs[name].grad = (None if slope is None else slope.clone() for _ in range(2))
        rate = 0.02 / (1 + step)
        reference.param_groups[0]["lr"] = rate
        adam.step(rate)
        reference.step()
        assert ("bias" in adam.moments) == (step >= 2)
    for name, parameter in ours.items():
        assert torch.equal(parameter, theirs[name]), name
        for key, value in reference.state[theirs[name]].items():
            assert torch.equal(adam.state()[f"{name}.{key}"], value), (name, key)


def test_it_goes_on_from_its_state() -> None:
    whole, cut = parameters(), parameters()
    one, other = Adam(whole, decay=0.0), Adam(cut, decay=0.0)
    for step in range(4):
        if step == 2:
            kept = {name: value.clone() for name, value in other.state().items()}
            other = Adam(cut, decay=0.0)
            other.restore(kept)
        for adam, held in ((one, whole), (other, cut)):
            for name, slope in slopes(step).items():
                held[name].grad = None if slope is None else slope.clone()
            adam.step(0.05)
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
