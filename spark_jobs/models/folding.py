"""A tail as scoring wants it: normalisation folded into weights, activations in place, buffers kept.

At scoring a batch normalisation is one scale and one shift a number (Jacob et al., CVPR 2018, section 3.2): both go
into the layer before it, or, where it comes first, into the two sides' halves, which are computed once.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Folded(nn.Module):
    """An evaluated chain of layers. Overwrites its input, and its result is valid until the next call."""

    def __init__(self, chain: nn.Sequential) -> None:
        super().__init__()
        self.first: tuple[Tensor, Tensor] | None = None  # scale and shift of the input
        self.layers: list[tuple[bool, Tensor, Tensor]] = []  # activate before?, weight (in, out), bias
        activate = False
        for module in chain:
            if isinstance(module, nn.Linear):
                bias = module.weight.new_zeros(module.out_features) if module.bias is None else module.bias.detach()
                self.layers.append((activate, module.weight.detach().T.contiguous(), bias.clone()))
                activate = False
            elif isinstance(module, nn.BatchNorm1d):
                self._normalise(module)
            elif isinstance(module, nn.ReLU):
                activate = True
        self._buffers_of: list[Tensor] = []

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, in) to (n, out)."""
        if self.first is not None:
            scale, shift = self.first
            hidden.mul_(scale).add_(shift)
        n = len(hidden)
        if not self._buffers_of or len(self._buffers_of[0]) < n:
            self._buffers_of = [hidden.new_empty(n, len(bias)) for _, _, bias in self.layers]
        for (activate, weight, bias), buffer in zip(self.layers, self._buffers_of, strict=True):
            if activate:
                hidden.relu_()
            hidden = torch.addmm(bias, hidden, weight, out=buffer[:n])
        return hidden

    def taken_over(self) -> tuple[Tensor, Tensor] | None:
        """The scale and shift of the input, which the caller applies from now on."""
        found, self.first = self.first, None
        return found

    def _normalise(self, module: nn.BatchNorm1d) -> None:
        assert module.running_mean is not None
        assert module.running_var is not None
        scale = (module.weight / (module.running_var + module.eps).sqrt()).detach()
        shift = (module.bias - module.running_mean * scale).detach()
        if self.layers:
            activate, weight, bias = self.layers[-1]
            self.layers[-1] = (activate, (weight * scale).contiguous(), bias * scale + shift)
        else:
            self.first = (scale, shift)


def folded(tail: nn.Module) -> nn.Module:
    """The tail with every chain of layers in it folded; the tail itself stays as it is."""
    if isinstance(tail, nn.Sequential):
        return Folded(tail)
    if not any(isinstance(module, nn.Sequential) for module in tail.modules()):
        return tail
    found = copy.copy(tail)
    found._modules = {name: None if part is None else folded(part) for name, part in tail.named_children()}
    return found


def widest(tail: nn.Module) -> int:
    """The largest number of values a linear layer of the tail reads or gives for one pair."""
    layers = [module for module in tail.modules() if isinstance(module, nn.Linear)]
    return max((max(layer.in_features, layer.out_features) for layer in layers), default=0)


def pair_flops(tail: nn.Module | None) -> float:
    """Floating-point operations of the tail's matrix products for one pair; 0 without any."""
    weights = [getattr(module, "weight", None) for module in tail.modules()] if tail is not None else []
    return float(sum(2 * weight.numel() for weight in weights if isinstance(weight, Tensor) and weight.dim() > 1))
