"""The quantile of many Beta distributions at once, some ten times as fast as inverting the distribution function.

Barndorff-Nielsen's r* makes the tail of a density exp(ℓ) nearly normal: P(X ≤ x) ≈ Φ(r*), r* = r + ln(q / r) / r, with
r the signed root of the log density's fall from its mode and q its slope in units of the mode's curvature (DiCiccio and
Martin, Biometrika 78, 1991), here on the scale of the logit. Newton solves r*(x) = Φ⁻¹(u). The probability that comes
out is within 1e-4 of the one asked for where both shapes are 16 or more, within 1e-5 from 100 on; below 16 the
distribution function itself is inverted.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, ndtri

from spark_jobs.bandits.contract import F64

EXACT_BELOW = 16.0
STEPS = 3
NEAR = 1e-3
BLOCK = 1 << 14


def beta_quantile(alpha: F64, beta: F64, uniform: F64) -> F64:
    """(n,) the numbers that a Beta(alpha, beta) stays below with probability `uniform`."""
    result = np.empty(uniform.size)
    # In blocks that stay in the processor's cache.
    for start in range(0, uniform.size, BLOCK):
        rows = slice(start, start + BLOCK)
        a, b, u = alpha[rows], beta[rows], uniform[rows]
        small = np.minimum(a, b) < EXACT_BELOW
        if small.any():
            block = np.empty(u.size)
            block[small] = betaincinv(a[small], b[small], u[small])
            block[~small] = _solved(a[~small], b[~small], u[~small])
            result[rows] = block
        else:
            result[rows] = _solved(a, b, u)
    return result


def _solved(a: F64, b: F64, u: F64) -> F64:
    mode = a / (a + b)
    curve = np.sqrt((a + b) * mode * (1.0 - mode))
    skew = (1.0 - 2.0 * mode) / (3.0 * curve)
    z = ndtri(u)
    r = z - skew
    x = mode / (mode + (1.0 - mode) * np.exp(-r / curve * (1.0 - 0.5 * skew * r)))
    for _ in range(STEPS):
        d = x - mode
        fall = -2.0 * (a * np.log1p(d / mode) + b * np.log1p(-d / (1.0 - mode)))
        r = np.copysign(np.sqrt(np.maximum(fall, 0.0)), d)
        # At the mode q / r is 0 / 0, and ln(q / r) / r is `skew`.
        near = np.abs(r) < NEAR
        r_safe = np.where(near, NEAR, r)
        lift = np.where(near, skew, np.log(np.where(near, 1.0, (a + b) * d / curve / r_safe)) / r_safe)
        x = x + np.clip((z - r - lift) * x * (1.0 - x) / curve, -0.5 * x, 0.5 * (1.0 - x))
    return np.asarray(x)
