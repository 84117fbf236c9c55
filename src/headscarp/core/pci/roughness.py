"""Roughness over a square window: vector ruggedness, and what may stand in its place.

Sums are taken in a fixed order over each pixel's own window, so a value does not depend, to the
last bit, on how the grid was cut into blocks. Cells outside the array count as missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.pci.gradient import Row, gradient_row
from headscarp.core.pci.pixels import PixelSize, half_side_px
from headscarp.core.pci.relief import LEAST_SHARE
from headscarp.core.types import Raster

ROUGHNESS_SIDE_M = 270.0

Parts = NDArray[np.float64]
"""(part, column): rows that are summed together."""


def roughness(elevation: Raster, pixel: PixelSize) -> Raster:
    """Vector ruggedness, 0 on any plane to 1, in a square of `ROUGHNESS_SIDE_M`.

    One minus the length of the mean of unit normals, Sappington et al. (2007),
    https://doi.org/10.2193/2005-723. NaN where the elevation is missing or less than half of the
    window has a normal.
    """
    out = np.empty(elevation.shape, dtype=np.float32)
    _ruggedness(elevation, (pixel.y, pixel.x), half_side_px(ROUGHNESS_SIDE_M, pixel), out)
    return out


def elevation_std(elevation: Raster, pixel: PixelSize) -> Raster:
    """Standard deviation of elevation in metres in a square of `ROUGHNESS_SIDE_M`.

    Grohmann et al. (2011), https://doi.org/10.1109/TGRS.2010.2053546. NaN where the elevation is
    missing or less than half of the window is known.
    """
    _, spread = _moments_of(elevation, pixel)
    return spread


def residual_std(elevation: Raster, pixel: PixelSize) -> Raster:
    """Standard deviation in metres of the elevation above its own mean, both in squares of `ROUGHNESS_SIDE_M`.

    Residual topography of Grohmann et al. (2011), https://doi.org/10.1109/TGRS.2010.2053546: 0 on any
    plane. NaN where the elevation is missing or less than half of the window has a residual.
    """
    mean, _ = _moments_of(elevation, pixel)
    _, spread = _moments_of(elevation - mean, pixel)
    return spread


def surface_ratio(slope: Raster) -> Raster:
    """Area of the surface over that of its plan: the secant of a slope in degrees, Hobson (1972)."""
    return (1.0 / np.cos(np.radians(slope))).astype(np.float32)


def _moments_of(values: Raster, pixel: PixelSize) -> tuple[Raster, Raster]:
    """Mean and standard deviation."""
    mean, spread = np.empty(values.shape, dtype=np.float32), np.empty(values.shape, dtype=np.float32)
    _moments(values, half_side_px(ROUGHNESS_SIDE_M, pixel), mean, spread)
    return mean, spread


@compiled
def _ruggedness(z: Raster, pixel: tuple[float, float], half: int, out: Raster) -> None:
    """Rows of normals summed along x wait in a ring until their window is complete."""
    columns, side = z.shape[1], 2 * half + 1
    ring, work = np.zeros((side, 4, columns)), np.zeros((3, 4, columns + 2 * half))
    east, north = np.empty(columns, dtype=np.float32), np.empty(columns, dtype=np.float32)
    per_x, per_y = np.float32(0.125 / pixel[1]), np.float32(0.125 / pixel[0])
    total = np.empty((4, columns))
    for bottom in range(z.shape[0] + half):
        ring[bottom % side] = 0.0
        if bottom < z.shape[0]:
            gradient_row(z, bottom, per_x, per_y, east, north)
            _unit_normals(east, north, work[0, :, half : half + columns])
            _sum_along(work, side, ring[bottom % side])
        if bottom >= half:
            y = bottom - half
            _sum_ring(ring, bottom + 1, total)
            _shortfall(total, LEAST_SHARE * side * side, z[y], out[y])


@compiled
def _moments(z: Raster, half: int, mean: Raster, spread: Raster) -> None:
    """The same for sums of values and of their squares."""
    columns, side = z.shape[1], 2 * half + 1
    ring, work = np.zeros((side, 3, columns)), np.zeros((3, 3, columns + 2 * half))
    total = np.empty((3, columns))
    for bottom in range(z.shape[0] + half):
        ring[bottom % side] = 0.0
        if bottom < z.shape[0]:
            _powers(z[bottom], work[0, :, half : half + columns])
            _sum_along(work, side, ring[bottom % side])
        if bottom >= half:
            y = bottom - half
            _sum_ring(ring, bottom + 1, total)
            _mean_and_spread(total, LEAST_SHARE * side * side, z[y], mean[y], spread[y])


@compiled
def _unit_normals(east: Row, north: Row, parts: Parts) -> None:
    """East, north and up part of the unit normal and 1; all 0 where there is none."""
    for x in range(east.size):
        p, q = np.float64(east[x]), np.float64(north[x])
        length = np.sqrt(1.0 + p * p + q * q)
        known = not np.isnan(length)
        up = 1.0 / length if known else 0.0
        parts[0, x] = -p * up if known else 0.0
        parts[1, x] = -q * up if known else 0.0
        parts[2, x] = up
        parts[3, x] = 1.0 if known else 0.0


@compiled
def _powers(z: Row, parts: Parts) -> None:
    """Value, its square and 1; all 0 where there is none."""
    for x in range(z.size):
        known = not np.isnan(z[x])
        value = np.float64(z[x]) if known else 0.0
        parts[0, x] = value
        parts[1, x] = value * value
        parts[2, x] = 1.0 if known else 0.0


@compiled
def _sum_along(work: NDArray[np.float64], side: int, sums: Parts) -> None:
    """Sums of `work[0]` over the window's width, from sums of 1, 2, 4 ... cells; `sums` must be 0."""
    for part in range(sums.shape[0]):
        reach, done, at = 1, 0, 0
        while True:
            if side & reach:
                _add(work[at, part, done:], sums[part])
                done += reach
            if done == side:
                break
            to = 1 if at == 2 else 2
            _add_pairs(work[at, part], reach, work[to, part])
            at, reach = to, 2 * reach


@compiled
def _add(row: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    for x in range(sums.size):
        sums[x] += row[x]


@compiled
def _add_two(row: NDArray[np.float64], other: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    for x in range(sums.size):
        sums[x] = (sums[x] + row[x]) + other[x]


@compiled
def _add_pairs(row: NDArray[np.float64], step: int, pairs: NDArray[np.float64]) -> None:
    later = row[step:]
    for x in range(later.size):
        pairs[x] = row[x] + later[x]


@compiled
def _sum_ring(ring: NDArray[np.float64], oldest: int, total: Parts) -> None:
    """Combine the rows of the ring, an odd number, the oldest first so that the order of sums never changes."""
    side = ring.shape[0]
    total[:] = ring[oldest % side]
    for k in range(oldest + 1, oldest + side, 2):
        for part in range(total.shape[0]):
            _add_two(ring[k % side, part], ring[(k + 1) % side, part], total[part])


@compiled
def _shortfall(total: Parts, least: float, z: Row, out: Row) -> None:
    """One minus the length of the mean normal."""
    for x in range(out.size):
        length = np.sqrt(total[0, x] * total[0, x] + total[1, x] * total[1, x] + total[2, x] * total[2, x])
        value = 1.0 - length / total[3, x]
        value = 0.0 if value < 0.0 else value
        out[x] = value if total[3, x] >= least and not np.isnan(z[x]) else np.nan


@compiled
def _mean_and_spread(total: Parts, least: float, z: Row, mean: Row, spread: Row) -> None:
    for x in range(mean.size):
        known = total[2, x] >= least and not np.isnan(z[x])
        middle = total[0, x] / total[2, x]
        variance = total[1, x] / total[2, x] - middle * middle
        mean[x] = middle if known else np.nan
        spread[x] = np.sqrt(0.0 if variance < 0.0 else variance) if known else np.nan
