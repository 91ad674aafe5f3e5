"""The deep part: a first layer split between the two sides, and the tail that follows its sums.

Dense weights are Xavier-normal (Glorot and Bengio, AISTATS 2010), biases zero. The constant of the logit is the
network's `bias`, so the last layer has none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Split(nn.Module):
    """One linear layer over both sides' inputs in two halves: W x + b = (W_i x_i + b) + W_s x_s."""

    def __init__(self, item: int, viewer: int, out: int, *, bias: bool = True) -> None:
        super().__init__()
        self.out = out
        # Drawn as one layer, so that its scale is that of the whole; a side without inputs has no weights.
        whole = nn.init.xavier_normal_(torch.empty(out, item + viewer))
        self.item = nn.Parameter(whole[:, :item].clone()) if item else None
        self.viewer = nn.Parameter(whole[:, item:].clone()) if viewer else None
        self.bias = nn.Parameter(torch.zeros(out)) if bias else None

    def whole(self) -> Tensor:
        """Both halves as one matrix, (out, item + viewer)."""
        return torch.cat([half for half in (self.item, self.viewer) if half is not None], 1)

    def of_item(self, x: Tensor) -> Tensor:
        """The item half with the bias, (n, out)."""
        if self.item is not None:
            return nn.functional.linear(x, self.item, self.bias)
        return x.new_zeros(x.shape[0], self.out) + (0.0 if self.bias is None else self.bias)

    def of_viewer(self, x: Tensor) -> Tensor:
        """The viewer half, (n, out)."""
        return x.new_zeros(x.shape[0], self.out) if self.viewer is None else nn.functional.linear(x, self.viewer)


def deep_tail(hidden: tuple[int, ...], *, dropout: float, batch_norm: bool) -> nn.Sequential:
    """What follows the first layer's sums: (normalise, activate, drop) a layer, then one number without a bias."""
    layers: list[nn.Module] = []
    for depth, here in enumerate(hidden, start=1):
        last = depth == len(hidden)
        if batch_norm:
            layers.append(nn.BatchNorm1d(here))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers.append(xavier(nn.Linear(here, 1 if last else hidden[depth], bias=not last)))
    return nn.Sequential(*layers)


def xavier(layer: nn.Linear) -> nn.Linear:
    """The layer with fresh Xavier-normal weights and no bias to begin with."""
    nn.init.xavier_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
