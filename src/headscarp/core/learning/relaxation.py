"""Relaxation of a five-point Laplacian with a sink on an irregular domain, with a proven error.

Jacobi's iteration with Chebyshev's acceleration (Golub and Varga 1961, doi:10.1007/BF01386013):
as fast as successive over-relaxation with the best parameter, and every sweep is one pass that a
processor does eight or sixteen pixels at a time.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Mask

MAX_SWEEPS = 20_000
SWEEPS_BETWEEN_CHECKS = 8
SINGLE_PRECISION_RESIDUAL = 4e-6
"""Largest residual that rounding in float32 may leave, with a margin; smaller ones need float64."""
FIXED = -1.0
"""Marks, among the weights, pixels whose value is 1 whatever surrounds them."""

Array: TypeAlias = NDArray[Any]


def relax(fixed: Mask, free: Mask, known: Mask, *, sink: float, floor: float, tolerance: float) -> Array:
    """Solve (-laplace + sink) u = 0 on `free` with u = 1 on `fixed` and 0 on other known ground.

    Stopped by the maximum principle: no pixel's error exceeds the largest residual over `floor`.

    Args:
        fixed: (y, x), where u = 1.
        free: (y, x), where u is sought.
        known: (y, x), what there is; no flux leaves it.
        sink: Coefficient of the sink, per square pixel.
        floor: Lower bound of the operator's smallest eigenvalue; the sink where there is one.
        tolerance: Largest error of any pixel.

    Returns:
        (y, x) float32 or float64; 0 where unknown.

    Raises:
        ArithmeticError: the tolerance was not reached.
    """
    target = tolerance * floor
    dtype = np.float32 if target >= SINGLE_PRECISION_RESIDUAL else np.float64
    weights = _weights(fixed, free, known, sink, np.dtype(dtype))
    before = np.zeros(weights.shape, dtype=dtype)
    before[1:-1, 1:-1] = fixed
    now, omega, squared = before.copy(), 1.0, (4.0 / (4.0 + floor)) ** 2
    for sweep in range(1, MAX_SWEEPS + 1):
        _sweep(before, now, weights, weights.dtype.type(omega))
        before, now = now, before
        omega = 1.0 / (1.0 - squared * (0.5 if sweep == 1 else omega / 4.0))
        if sweep % SWEEPS_BETWEEN_CHECKS == 0 and _largest_residual(now, weights) <= target:
            return np.asarray(now[1:-1, 1:-1])
    raise ArithmeticError(f"label of {known.shape}: residual above {target:g} after {MAX_SWEEPS} sweeps")


def _weights(fixed: Mask, free: Mask, known: Mask, sink: float, dtype: np.dtype[Any]) -> Array:
    """(y + 2, x + 2): one over the diagonal of the operator where u is sought, 0 where it is 0, FIXED where it is 1."""
    padded = np.pad(known, 1)
    ones = padded.astype(dtype)
    count = ones[:-2, 1:-1] + ones[2:, 1:-1] + ones[1:-1, :-2] + ones[1:-1, 2:]
    out = np.zeros(padded.shape, dtype=dtype)
    inner = out[1:-1, 1:-1]
    # A pixel without neighbours and without a sink has nothing to take: it stays 0.
    np.divide(1.0, count + dtype.type(sink), out=inner, where=free & (count + sink > 0))
    inner[fixed] = FIXED
    return out


@compiled
def _sweep(before: Array, now: Array, weights: Array, omega: Any) -> None:
    """Write the next iterate over `before`, the last but one; `now` is the last."""
    one, zero = weights.dtype.type(1), weights.dtype.type(0)
    for y in range(1, now.shape[0] - 1):
        for x in range(1, now.shape[1] - 1):
            around = now[y - 1, x] + now[y + 1, x] + now[y, x - 1] + now[y, x + 1]
            old, weight = before[y, x], weights[y, x]
            moved = old + omega * (weight * around - old)
            before[y, x] = one if weight < zero else moved


@compiled
def _largest_residual(u: Array, weights: Array) -> float:
    """Maximum over the sought pixels of |(-laplace + sink) u|."""
    worst = np.zeros_like(u[0])
    zero = weights.dtype.type(0)
    for y in range(1, u.shape[0] - 1):
        # Columns keep their own maximum, so that neighbours are compared at once.
        for x in range(1, u.shape[1] - 1):
            around = u[y - 1, x] + u[y + 1, x] + u[y, x - 1] + u[y, x + 1]
            residual = abs(u[y, x] / weights[y, x] - around)
            worst[x] = residual if weights[y, x] > zero and residual > worst[x] else worst[x]
    return float(worst.max())
