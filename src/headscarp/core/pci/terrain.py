"""Slope, aspect, curvature and local position from a pixel and its neighbours, all in one pass.

Missing neighbours (NaN, or outside the array) are mirrored through the centre, except for
curvature, which is NaN within four pixels of a missing elevation. A row of the result is a
function of nine rows of the elevation and of nothing else: strips give the bytes of the whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headscarp.core.pci.compiled import Real, compiled
from headscarp.core.pci.curvature import curvature_row, smooth_row
from headscarp.core.pci.elementary import arctangent
from headscarp.core.pci.gradient import Around, Row, around, gaps, horn
from headscarp.core.pci.pixels import PixelSize
from headscarp.core.types import Raster

FLAT_DEGREES = 1.0
"""Below this slope a direction is noise: aspect and curvature are 0."""

_FLAT_GRADIENT = float(np.tan(np.radians(FLAT_DEGREES)))
_FLAT = np.float32(_FLAT_GRADIENT)
_ZERO, _EIGHTH, _ONE = np.float32(0.0), np.float32(0.125), np.float32(1.0)


class Terrain(NamedTuple):
    """Eight layers (y, x) of local terrain attributes."""

    slope: Raster
    """Degrees."""
    east: Raster
    """East part of the unit vector downslope; 0 where flatter than `FLAT_DEGREES`, as is `north`."""
    north: Raster
    plan: Raster
    """Tangential curvature in 0.01 / m, positive where convex, clipped, 0 on flat ground."""
    profile: Raster
    laplacian: Raster
    """Curvature whatever the direction: minus the sum of both second derivatives in 0.01 / m, not clipped."""
    gradient: Raster
    """Metres of fall per metre, the tangent of the slope."""
    local_position: Raster
    """Elevation above the mean of the eight neighbours in metres."""


def terrain(elevation: Raster, pixel: PixelSize) -> Terrain:
    """All local attributes of an elevation (y, x) in metres; NaN where it is missing.

    Slope and direction: Horn (1981), https://doi.org/10.1109/PROC.1981.11918. Curvature: Mitasova
    and Hofierka (1993), https://doi.org/10.1007/BF00893171; without a direction, Zevenbergen and Thorne
    (1987), https://doi.org/10.1002/esp.3290120107. Position: Wilson et al. (2007),
    https://doi.org/10.1080/01490410701295962.
    """
    out = empty_terrain(elevation.shape)
    terrain_rows(elevation, 0, elevation.shape[0], (pixel.y, pixel.x), out)
    return out


def empty_terrain(shape: tuple[int, ...]) -> Terrain:
    """Layers to be filled, each with a memory of its own."""
    return Terrain(*(np.empty(shape, dtype=np.float32) for _ in Terrain._fields))


@compiled
def terrain_rows(z: Raster, first: int, last: int, pixel: tuple[float, float], out: Terrain) -> None:
    """Fill rows `first` to `last` of the layers; three smoothed rows wait in a ring."""
    column_sums = np.empty(z.shape[1], dtype=np.float32)
    ring = np.empty((3, z.shape[1]), dtype=np.float32)
    for y in range(first - 1, first + 1):
        smooth_row(z, y, column_sums, ring[y % 3])
    for y in range(first, last):
        smooth_row(z, y + 1, column_sums, ring[(y + 1) % 3])
        above, here, below = ring[(y - 1) % 3], ring[y % 3], ring[(y + 1) % 3]
        curvature_row(above, here, below, pixel, _FLAT_GRADIENT, out.plan[y], out.profile[y], out.laplacian[y])
        _row_of_neighbours(z, y, pixel, out)


@compiled
def _row_of_neighbours(z: Raster, y: int, pixel: tuple[float, float], out: Terrain) -> None:
    """What follows from the eight neighbours of each pixel of row `y`."""
    per_x, per_y = np.float32(0.125 / pixel[1]), np.float32(0.125 / pixel[0])
    slope, east, north = out.slope[y], out.east[y], out.north[y]
    gradient, position = out.gradient[y], out.local_position[y]
    missing = False
    if 0 < y < z.shape[0] - 1:
        missing = _inner_columns(z[y - 1], z[y], z[y + 1], per_x, per_y, slope, east, north, gradient, position)
    for x in gaps(z, y, slope, missing):
        at = around(z, y, x)
        position[x] = _above_neighbours(np.float64(z[y, x]), at)
        slope[x], east[x], north[x], gradient[x] = _directed(*horn(at, per_x, per_y))


@compiled
def _inner_columns(
    up: Row, here: Row, down: Row, per_x: Real, per_y: Real,
    slope: Row, east: Row, north: Row, gradient: Row, position: Row,
) -> bool:  # fmt: skip
    """Whether any elevation is missing: `slope` is NaN where one of the nine is."""
    missing = False
    for x in range(here.size - 2):
        at = Around(up[x + 1], down[x + 1], here[x + 2], here[x], up[x + 2], down[x], up[x], down[x + 2])
        position[x + 1] = _above_neighbours(here[x + 1], at)
        void = position[x + 1] - position[x + 1]
        angle, east[x + 1], north[x + 1], gradient[x + 1] = _directed(*horn(at, per_x, per_y))
        slope[x + 1] = angle + void
        missing |= np.isnan(void)
    return missing


@compiled
def _directed(p: Real, q: Real) -> tuple[Real, Real, Real, Real]:
    """Slope in degrees, east and north part of the direction downslope, and length, of a gradient."""
    steepness = np.sqrt(p * p + q * q)
    inverse = _ONE / steepness
    scale = _ZERO if steepness < _FLAT else -inverse
    return arctangent(steepness, inverse), p * scale, q * scale, steepness


@compiled
def _above_neighbours(centre: Real, at: Around) -> Real:
    """Elevation above the mean of the neighbours; NaN where one is missing."""
    return centre - _EIGHTH * (((at.nw + at.n) + (at.ne + at.w)) + ((at.e + at.sw) + (at.s + at.se)))
