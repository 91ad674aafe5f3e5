"""Adam: Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, by torch's own fused kernel.

`torch.optim.Adam` does the same, but making one loads torch's compiler, which takes longer than many a training here;
the function behind it (`torch.optim.adam.adam`) does not. State is kept under the names that class gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
        moved = {name: parameter for name, parameter in self.parameters.items() if parameter.grad is not None}
        for name, parameter in moved.items():
            if name not in self.moments:
                begun = torch.zeros((), dtype=torch.float32, device=parameter.device)
                self.moments[name] = begun, torch.zeros_like(parameter), torch.zeros_like(parameter)
        steps, means, squares = (_column(self.moments, moved, place) for place in range(3))
        with torch.no_grad():
            adam(
                list(moved.values()), [_gradient(parameter) for parameter in moved.values()], means, squares, [], steps,
                fused=True, amsgrad=False, maximize=False, beta1=BETAS[0], beta2=BETAS[1], eps=EPSILON, lr=rate,
                weight_decay=self.decay,
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


def _column(moments: Mapping[str, tuple[Tensor, Tensor, Tensor]], names: Iterable[str], place: int) -> list[Tensor]:
    return [moments[name][place] for name in names]


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
