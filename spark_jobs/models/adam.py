"""Adam: Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, by torch's own fused kernel.

`torch.optim.Adam` does the same, but making one loads torch's compiler, which takes longer than many a training here;
the function behind it (`torch.optim.adam.adam`) does not. State is kept under the names that class gives it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

BETAS = (0.9, 0.999)
EPSILON = 1e-8
KEYS = ("step", "exp_avg", "exp_avg_sq")


class Adam:
    """Moments of named parameters, made when a parameter first has a gradient.

    Args:
        parameters: by name.
        decay: λ of λ·w added to the gradient.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], *, decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.moments: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    def forget_gradients(self) -> None:
        """Before a step's backward pass."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def step(self, rate: float) -> None:
        """Moves every parameter that has a gradient."""
        slopes = {name: value.grad for name, value in self.parameters.items() if value.grad is not None}
        if not slopes:
            return
        steps, means, squares = zip(*(self._of(name) for name in slopes), strict=True)
        with torch.no_grad():
            adam(
                [self.parameters[name] for name in slopes], list(slopes.values()), list(means), list(squares), [],
                list(steps), fused=True, amsgrad=False, maximize=False, beta1=BETAS[0], beta2=BETAS[1], eps=EPSILON,
                lr=rate, weight_decay=self.decay,
            )  # fmt: skip

    def state(self) -> dict[str, Tensor]:
        """By parameter and key."""
        return {
            f"{name}.{key}": value
            for name, moments in self.moments.items()
            for key, value in zip(KEYS, moments, strict=True)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what `state` gave; a parameter that it lacks starts afresh."""
        for name, parameter in self.parameters.items():
            if all(f"{name}.{key}" in state for key in KEYS):
                step, mean, square = (state[f"{name}.{key}"].to(parameter.device).clone() for key in KEYS)
                self.moments[name] = step, mean, square

    def _of(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        if name not in self.moments:
            value = self.parameters[name]
            begun = torch.zeros((), dtype=torch.float32, device=value.device)
            self.moments[name] = begun, torch.zeros_like(value), torch.zeros_like(value)
        return self.moments[name]
