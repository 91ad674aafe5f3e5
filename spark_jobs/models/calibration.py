"""Calibration: from a network's logit to a probability that means what it says.

Platt: p = 1 / (1 + exp(−(a·z + b))) (Platt, 1999; Niculescu-Mizil and Caruana, ICML 2005). Isotonic: a monotone step
function of z, joined by straight lines (Zadrozny and Elkan, KDD 2002). Both are fitted on validation rows, each counted
1/sampling-rate times. Neither changes the order of items: where isotonic regression is flat, a thousandth of the Platt
curve keeps the order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken
from segments.hashing import stir

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]
Method = Literal["platt", "isotonic", "none"]
FEW_CLICKS = 50.0
ORDER_KEPT = 1e-3


@dataclass(frozen=True)
class Calibration:
    """p = sigmoid(slope·z + shift), or the curve through `knots` (z, p) with a trace of it."""

    slope: float = 1.0
    shift: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, logits: Doubles) -> Doubles:
        """Probabilities, any shape."""
        platt = np.asarray(np.multiply(logits, self.slope, dtype=np.float64))
        platt += self.shift
        _squash(platt)
        if not self.knots:
            return platt
        z, p = np.array(self.knots).T
        return np.asarray((1.0 - ORDER_KEPT) * np.interp(logits, z, p) + ORDER_KEPT * platt)

    def to_dict(self) -> dict[str, object]:
        """Plain values for a checkpoint's sidecar."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, object]) -> Calibration:
        """From what `to_dict` gave.

        Raises:
            ContractBroken: a value is missing or not a number.
        """
        try:
            knots = tuple((float(z), float(p)) for z, p in values["knots"])  # type: ignore[attr-defined]
            return cls(float(values["slope"]), float(values["shift"]), knots)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise ContractBroken("the calibration cannot be read", hint="train again") from error


def calibrate(logits: Doubles, label: Doubles, weight: Doubles, *, method: Method = "platt") -> Calibration:
    """Fits a calibration.

    Fewer than 50 clicks move only the shift; none at all, or nothing but clicks, leave the network's own probability.

    Args:
        logits: (n,) the network's.
        label: (n,) 0 or 1.
        weight: (n,) impressions a row stands for, 1 / sampling rate.
        method: how.
    """
    clicks = float(label.sum())
    if method == "none" or clicks == 0 or clicks == len(label):
        return Calibration()
    platt = _platt(logits, label, weight, slope_fixed=clicks < FEW_CLICKS)
    if method == "platt" or clicks < FEW_CLICKS:
        return platt
    return Calibration(platt.slope, platt.shift, _isotonic(logits, label, weight))


def recentred(calibration: Calibration, logits: Doubles, label: Doubles, weight: Doubles) -> Calibration:
    """The same curve moved along z so that the mean predicted equals the mean observed on these rows.

    A network refitted on later weeks has the same shape but its own level: the curve of the network that was held out
    from those weeks, used as it is, would correct that network's lag a second time.
    """
    clicks = float(label.sum())
    if clicks == 0 or clicks == len(label):
        return calibration
    observed, low, high = float(np.average(label, weights=weight)), -20.0, 20.0
    for _ in range(60):
        move = 0.5 * (low + high)
        if float(np.average(calibration(logits + move), weights=weight)) < observed:
            low = move
        else:
            high = move
    knots = tuple((z - move, p) for z, p in calibration.knots)
    return Calibration(calibration.slope, calibration.shift + calibration.slope * move, knots)


def honest_chances(
    logits: Doubles, label: Doubles, weight: Doubles, user: Longs, *, method: Method = "platt"
) -> Doubles:
    """Calibrated probabilities (n,) of users the calibration was not fitted on.

    Users are cut in two by a hash; each half gets the calibration of the other, so every row is held out once.
    """
    half = (stir(user.astype(np.uint64), salt=41) & np.uint64(1)).astype(bool)
    chance = np.empty(len(logits), dtype=np.float64)
    for here in (half, ~half):
        chance[here] = calibrate(logits[~here], label[~here], weight[~here], method=method)(logits[here])
    return chance


def sigmoid(z: Doubles) -> Doubles:
    """Probabilities of log odds, any shape; the largest and smallest do not overflow."""
    found = np.array(z, dtype=np.float64)
    _squash(found)
    return found


def _squash(z: Doubles) -> None:
    """Log odds become probabilities in place: over all pairs of a grid, fresh arrays and tanh cost three times more."""
    np.negative(z, out=z)
    with np.errstate(over="ignore"):  # exp of more than 709 is infinite, and its probability 0
        np.exp(z, out=z)
    z += 1.0
    np.reciprocal(z, out=z)


def _platt(logits: Doubles, label: Doubles, weight: Doubles, *, slope_fixed: bool) -> Calibration:
    """Weighted logistic regression on one number by damped Newton steps; the slope stays positive."""
    slope, shift = 1.0, 0.0
    # A prior of one click at the network's own slope keeps separable data from an infinite slope.
    ridge = 1.0
    for _ in range(100):
        p = sigmoid(slope * logits + shift)
        error, curve = weight * (p - label), np.maximum(weight * p * (1.0 - p), 1e-12)
        gradient = np.array([error @ logits + ridge * (slope - 1.0), error.sum()])
        hessian = np.array(
            [
                [curve @ np.square(logits) + ridge, curve @ logits],
                [curve @ logits, curve.sum()],
            ]
        )
        move = np.array([0.0, gradient[1] / hessian[1, 1]]) if slope_fixed else np.linalg.solve(hessian, gradient)
        move = np.clip(move, -1.0, 1.0)
        slope, shift = max(slope - move[0], 0.05), shift - move[1]
        if np.abs(move).max() < 1e-9:
            break
    return Calibration(float(slope), float(shift))


def _isotonic(logits: Doubles, label: Doubles, weight: Doubles) -> tuple[tuple[float, float], ...]:
    """Pool adjacent violators (Ayer et al., 1955) over at most 200 bins of equal weight."""
    order = np.argsort(logits, kind="stable")
    z, y, w = logits[order], label[order], weight[order]
    bins = np.minimum((np.cumsum(w) - 0.5 * w) / w.sum() * 200, 199).astype(np.int64)
    mass = np.bincount(bins, w, 200)
    kept = mass > 0
    centre = (np.bincount(bins, w * z, 200)[kept] / mass[kept]).tolist()
    clicks, mass = np.bincount(bins, w * y, 200)[kept], mass[kept]
    blocks: list[list[float]] = []  # clicks, mass, z·mass
    for c, m, x in zip(clicks.tolist(), mass.tolist(), centre, strict=True):
        blocks.append([c, m, x * m])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    return tuple((zm / m, c / m) for c, m, zm in blocks)
