"""An autoencoder: a narrow middle that the vectors must pass through (Hinton and Salakhutdinov, Science 313, 2006).

Each half is a linear map beside a hidden layer: code = x W + relu(x A + a) B, and back likewise. The linear maps begin
at the principal axes, where a linear autoencoder ends anyway (Baldi and Hornik 1989), and the hidden layers add
nothing at first: training starts at what PCA reaches and stops, by held-out vectors, when nothing more is gained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from spark_jobs.vectors.method import Floats, Method
from spark_jobs.vectors.pca import principal_axes
from spark_jobs.vectors.settings import AutoencoderSettings

HELD_OUT = 0.1
FEWEST = 20  # vectors; with fewer nothing can be held out, and PCA stays


@dataclass(frozen=True)
class Autoencoder(Method):
    """Of each half: `…_line` (from, to), `…_wide` (from, hidden), `…_bias` (hidden,), `…_narrow` (hidden, to)."""

    into_line: Floats
    into_wide: Floats
    into_bias: Floats
    into_narrow: Floats
    back_line: Floats
    back_wide: Floats
    back_bias: Floats
    back_narrow: Floats

    @classmethod
    def fit(cls, vectors: Floats, width: int, settings: AutoencoderSettings) -> Self:
        weights = _begin(vectors, width, settings)
        if len(vectors) >= FEWEST:
            weights = _train(weights, torch.from_numpy(vectors), settings)
        return cls(**{name: weight.detach().numpy() for name, weight in weights.items()})

    def encode(self, vectors: Floats) -> Floats:
        hidden = np.maximum(vectors @ self.into_wide + self.into_bias, 0.0)
        return np.asarray(vectors @ self.into_line + hidden @ self.into_narrow, dtype=np.float32)

    def decode(self, codes: Floats) -> Floats:
        hidden = np.maximum(codes @ self.back_wide + self.back_bias, 0.0)
        return np.asarray(codes @ self.back_line + hidden @ self.back_narrow, dtype=np.float32)


def _begin(vectors: Floats, width: int, settings: AutoencoderSettings) -> dict[str, Tensor]:
    axes = torch.from_numpy(principal_axes(vectors, width, seed=settings.seed))
    random = torch.Generator().manual_seed(settings.seed)
    weights: dict[str, Tensor] = {}
    for half, line in (("into", axes), ("back", axes.T.contiguous())):
        size, out = line.shape
        # He et al. 2015, for inputs whose squared length, not whose every number, is about 1.
        spread = 2.0**0.5
        weights |= {
            f"{half}_line": line,
            f"{half}_wide": torch.randn((size, settings.hidden), generator=random) * spread,
            f"{half}_bias": torch.zeros(settings.hidden),
            f"{half}_narrow": torch.zeros((settings.hidden, out)),
        }
    return weights


def _train(weights: dict[str, Tensor], vectors: Tensor, settings: AutoencoderSettings) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(vectors), generator=random)
    held = max(1, round(HELD_OUT * len(vectors)))
    check, train = vectors[order[:held]], vectors[order[held:]]
    live = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    optimiser = torch.optim.Adam(live.values(), lr=settings.learning_rate)
    best, lowest, waited = weights, _lost(weights, check).item(), 0
    for _ in range(settings.epochs):
        order = torch.randperm(len(train), generator=random)
        for start in range(0, len(train), settings.batch_size):
            optimiser.zero_grad()
            _lost(live, train[order[start : start + settings.batch_size]]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            now = _lost(live, check).item()
        waited += 1
        if now < lowest:
            best, lowest, waited = {name: weight.detach().clone() for name, weight in live.items()}, now, 0
        if waited >= settings.patience:
            break
    return best


def _lost(weights: dict[str, Tensor], vectors: Tensor) -> Tensor:
    """Share of the squared length that does not come back."""
    return (_half(weights, "back", _half(weights, "into", vectors)) - vectors).square().sum(dim=1).mean()


def _half(weights: dict[str, Tensor], half: str, x: Tensor) -> Tensor:
    hidden = torch.relu(x @ weights[f"{half}_wide"] + weights[f"{half}_bias"])
    return x @ weights[f"{half}_line"] + hidden @ weights[f"{half}_narrow"]
