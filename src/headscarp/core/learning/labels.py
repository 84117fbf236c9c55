"""Soft labels: 1 on landslides, falling off around them as a screened Poisson problem says.

The paper's background label is "defined by the Poisson equation with Dirichlet boundary
conditions" (doi:10.1093/nsr/nwaf179). Without a sink that label depends on where a window ends;
with one the problem is coercive and its solution local:

    (-laplace + 1 / length**2) u = 0 off the landslides,   u = 1 on them,

five-point Laplacian, no flux at the edge of what was mapped (unknown is not background).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from headscarp.core.types import Mask, Raster

LENGTH_PX = 2.0
"""Screening length in pixels of 30 m: the usual positional error of inventories."""
TOLERANCE = 1e-6
MAX_SWEEPS = 10_000
SWEEPS_BETWEEN_CHECKS = 8


def soft_label(slides: Mask, known: Mask, *, length_px: float = LENGTH_PX, tolerance: float = TOLERANCE) -> Raster:
    """Solve for the label on one raster.

    Successive over-relaxation in red-black order (Young 1954, doi:10.2307/1990745), stopped by the
    maximum principle: the error of no pixel exceeds length**2 times the largest residual.

    Args:
        slides: (y, x), True on landslides.
        known: (y, x), True where the ground was mapped.
        length_px: Screening length in pixels.
        tolerance: Largest error of any pixel, before rounding to float32.

    Returns:
        (y, x) in [0, 1], exactly 1 on known landslides, NaN where unknown.

    Raises:
        ValueError: shapes differ, or a length or tolerance is not positive.
        ArithmeticError: the tolerance was not reached.
    """
    if slides.shape != known.shape or slides.ndim != 2:
        raise ValueError(f"expected two rasters of one shape, got {slides.shape} and {known.shape}")
    if not (length_px > 0 and tolerance > 0):
        raise ValueError(f"expected positive length and tolerance, got {length_px} and {tolerance}")
    known = np.ascontiguousarray(known, dtype=np.bool_)
    u = _solve(np.ascontiguousarray(slides & known), known, 1.0 / length_px**2, tolerance)
    return np.where(known, np.clip(u, 0.0, 1.0), np.nan).astype(np.float32)


def _solve(fixed: Mask, known: Mask, sink: float, tolerance: float) -> NDArray[np.float64]:
    """Sweep until the largest residual is at most `tolerance * sink`; zero where unknown."""
    jacobi_radius = 4.0 / (4.0 + sink)
    omega = 2.0 / (1.0 + math.sqrt(1.0 - jacobi_radius**2))
    free = known & ~fixed
    u = fixed.astype(np.float64)
    for _ in range(0, MAX_SWEEPS, SWEEPS_BETWEEN_CHECKS):
        for _ in range(SWEEPS_BETWEEN_CHECKS):
            _sweep(u, free, known, sink, omega)
        if _largest_residual(u, free, known, sink) <= tolerance * sink:
            return u
    raise ArithmeticError(f"label of {u.shape}: residual above {tolerance * sink:g} after {MAX_SWEEPS} sweeps")


@njit(cache=True)
def _around(u: NDArray[np.float64], known: Mask, y: int, x: int) -> tuple[float, int]:
    """Sum over the known neighbours of a pixel, and how many there are."""
    total, count = 0.0, 0
    if y > 0 and known[y - 1, x]:
        total, count = total + u[y - 1, x], count + 1
    if y < u.shape[0] - 1 and known[y + 1, x]:
        total, count = total + u[y + 1, x], count + 1
    if x > 0 and known[y, x - 1]:
        total, count = total + u[y, x - 1], count + 1
    if x < u.shape[1] - 1 and known[y, x + 1]:
        total, count = total + u[y, x + 1], count + 1
    return total, count


@njit(cache=True, parallel=True)
def _sweep(u: NDArray[np.float64], free: Mask, known: Mask, sink: float, omega: float) -> None:
    """Relax the free pixels in place, one colour of the chessboard after the other."""
    for colour in range(2):
        for y in prange(u.shape[0]):
            for x in range((y + colour) % 2, u.shape[1], 2):
                if free[y, x]:
                    total, count = _around(u, known, y, x)
                    u[y, x] += omega * (total / (count + sink) - u[y, x])


@njit(cache=True)
def _largest_residual(u: NDArray[np.float64], free: Mask, known: Mask, sink: float) -> float:
    """Maximum over free pixels of |(-laplace + sink) u|."""
    largest = 0.0
    for y in range(u.shape[0]):
        for x in range(u.shape[1]):
            if free[y, x]:
                total, count = _around(u, known, y, x)
                largest = max(largest, abs((count + sink) * u[y, x] - total))
    return largest
