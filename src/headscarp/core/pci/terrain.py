"""Slope, aspect and curvature from the elevation of a pixel and its eight neighbours.

Missing neighbours (NaN, or outside the array) of a gradient are mirrored through the centre, so a
plane keeps its slope along voids and edges; where both of two opposite axis neighbours are missing
the gradient is NaN. Curvature is NaN within four pixels of a missing elevation: a Gaussian cut on one
side shifts the surface by a share of the slope, which is far more than any curvature.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.pci.focal import focal_mean
from headscarp.core.pci.pixels import PixelSize
from headscarp.core.types import Raster

FLAT_DEGREES = 1.0
"""Below this slope a direction is noise: aspect and curvature are 0."""
CURVATURE_LIMIT = 10.0
SMOOTHING_PX = 1.0
SMOOTHING_RADIUS_PX = 3

_FLAT_GRADIENT = float(np.tan(np.radians(FLAT_DEGREES)))
_WHOLE = 1.0 - 1e-9
"""All of a window, whatever the order its weights were summed in."""
_DEGREES = float(180.0 / np.pi)
Row = NDArray[np.float64]


class SlopeAspect(NamedTuple):
    """Slope in degrees; the unit vector of the downslope direction, (0, 0) on flat ground."""

    slope: Raster
    east: Raster
    north: Raster


class Curvature(NamedTuple):
    """Tangential and profile curvature in 0.01 / m, positive where convex."""

    plan: Raster
    profile: Raster


def slope_aspect(elevation: Raster, pixel: PixelSize) -> SlopeAspect:
    """Slope in degrees and downslope direction as sine and cosine of the azimuth from north.

    Third-order finite differences of Horn (1981), https://doi.org/10.1109/PROC.1981.11918.
    NaN where the elevation is missing; below `FLAT_DEGREES` the direction is (0, 0).
    """
    out = np.empty((3, *elevation.shape), dtype=np.float32)
    _slope_aspect(elevation, (pixel.y, pixel.x), out)
    return SlopeAspect(out[0], out[1], out[2])


def curvature(elevation: Raster, pixel: PixelSize) -> Curvature:
    """Tangential ("plan") and profile curvature in 0.01 / m, clipped to +-`CURVATURE_LIMIT`.

    Quadratic of Evans (1980) on the elevation smoothed by a Gaussian of one pixel, tangential and
    profile form of Mitasova and Hofierka (1993), https://doi.org/10.1007/BF00893171, signed so
    that ridges and noses are positive. 0 where the smoothed surface is flatter than `FLAT_DEGREES`.
    """
    smooth = focal_mean(elevation, gaussian_weights(SMOOTHING_PX, SMOOTHING_RADIUS_PX), least_share=_WHOLE)
    out = np.full((2, *elevation.shape), np.nan, dtype=np.float32)
    _curvature(smooth, pixel.y, pixel.x, out)
    return Curvature(out[0], out[1])


def gaussian_weights(sigma_px: float, radius_px: int) -> NDArray[np.float64]:
    """A square of Gaussian weights, (2 r + 1, 2 r + 1)."""
    line = np.exp(-0.5 * (np.arange(-radius_px, radius_px + 1) / sigma_px) ** 2)
    return np.outer(line, line)


@compiled
def gradient_row(z: Raster, y: int, pixel: tuple[float, float], east: Row, north: Row) -> None:
    """Write dz/dx (east) and dz/dy (north) of row `y` by Horn's differences into two rows."""
    rows, columns = z.shape
    height, width = pixel
    if 0 < y < rows - 1:
        up, here, down = z[y - 1], z[y], z[y + 1]
        for x in range(1, columns - 1):
            diagonal = np.float64(up[x + 1]) - down[x - 1]
            anti = np.float64(down[x + 1]) - up[x - 1]
            east[x] = (diagonal + anti + 2.0 * (np.float64(here[x + 1]) - here[x - 1])) / (8.0 * width)
            north[x] = (diagonal - anti + 2.0 * (np.float64(up[x]) - down[x])) / (8.0 * height)
    for x in range(columns):
        inside = 0 < y < rows - 1 and 0 < x < columns - 1
        if not inside or np.isnan(east[x]) or np.isnan(north[x]):
            east[x], north[x] = _gradient_at_gap(z, y, x, pixel)


@compiled
def _gradient_at_gap(z: Raster, y: int, x: int, pixel: tuple[float, float]) -> tuple[float, float]:
    """Horn's differences where a neighbour is missing."""
    centre = np.float64(z[y, x])
    n, s = _opposite(z, y, x, -1, 0)
    e, w = _opposite(z, y, x, 0, 1)
    ne, sw = _opposite(z, y, x, -1, 1)
    nw, se = _opposite(z, y, x, -1, -1)
    if np.isnan(ne):
        ne, sw = n + e - centre, s + w - centre
    if np.isnan(nw):
        nw, se = n + w - centre, s + e - centre
    east = (ne - sw) + (se - nw) + 2.0 * (e - w)
    north = (ne - sw) - (se - nw) + 2.0 * (n - s)
    return east / (8.0 * pixel[1]), north / (8.0 * pixel[0])


@compiled
def _opposite(z: Raster, y: int, x: int, dy: int, dx: int) -> tuple[float, float]:
    """A neighbour and the one across; a missing one is mirrored, both NaN if both are missing."""
    centre = np.float64(z[y, x])
    one, other = _value(z, y + dy, x + dx), _value(z, y - dy, x - dx)
    if np.isnan(one):
        one = 2.0 * centre - other
    if np.isnan(other):
        other = 2.0 * centre - one
    return one, other


@compiled
def _value(z: Raster, y: int, x: int) -> float:
    """Elevation, NaN outside the array."""
    if y < 0 or x < 0 or y >= z.shape[0] or x >= z.shape[1]:
        return np.nan
    return np.float64(z[y, x])


@compiled
def arctangent(value: float) -> float:
    """Arctangent of a value >= 0 in radians to 2e-8 (Abramowitz and Stegun 4.4.49); fast in loops."""
    swap = value > 1.0
    t = 1.0 / value if swap else value
    s = t * t
    p = 0.0028662257
    p = p * s - 0.0161657367
    p = p * s + 0.0429096138
    p = p * s - 0.0752896400
    p = p * s + 0.1065626393
    p = p * s - 0.1420889944
    p = p * s + 0.1999355085
    p = p * s - 0.3333314528
    angle = t + t * s * p
    return 0.5 * np.pi - angle if swap else angle


@compiled
def _slope_aspect(z: Raster, pixel: tuple[float, float], out: NDArray[np.float32]) -> None:
    east, north = np.empty(z.shape[1]), np.empty(z.shape[1])
    for y in range(z.shape[0]):
        gradient_row(z, y, pixel, east, north)
        slope, sine, cosine = out[0, y], out[1, y], out[2, y]
        for x in range(z.shape[1]):
            steepness = np.sqrt(east[x] * east[x] + north[x] * north[x])
            steepness = np.nan if np.isnan(z[y, x]) else steepness
            flat = steepness < _FLAT_GRADIENT
            scale = 0.0 if flat else -1.0 / steepness
            slope[x] = arctangent(steepness) * _DEGREES
            sine[x] = east[x] * scale
            cosine[x] = north[x] * scale


@compiled
def _curvature(z: NDArray[np.float64], height: float, width: float, out: NDArray[np.float32]) -> None:
    for y in range(1, z.shape[0] - 1):
        plan, profile = out[0, y], out[1, y]
        up, here, down = z[y - 1], z[y], z[y + 1]
        for x in range(1, z.shape[1] - 1):
            west = up[x - 1] + here[x - 1] + down[x - 1]
            east = up[x + 1] + here[x + 1] + down[x + 1]
            north = up[x - 1] + up[x] + up[x + 1]
            south = down[x - 1] + down[x] + down[x + 1]
            total = north + south + here[x - 1] + here[x] + here[x + 1]
            p, q = (east - west) / (6.0 * width), (north - south) / (6.0 * height)
            r = (total - 3.0 * (up[x] + here[x] + down[x])) / (3.0 * width * width)
            t = (total - 3.0 * (here[x - 1] + here[x] + here[x + 1])) / (3.0 * height * height)
            s = (up[x + 1] + down[x - 1] - up[x - 1] - down[x + 1]) / (4.0 * width * height)
            g = p * p + q * q
            secant = np.sqrt(1.0 + g)
            tangential = -(q * q * r - 2.0 * p * q * s + p * p * t) / (g * secant)
            along = -(p * p * r + 2.0 * p * q * s + q * q * t) / (g * (1.0 + g) * secant)
            flat = g < _FLAT_GRADIENT * _FLAT_GRADIENT
            plan[x] = 0.0 if flat else _clipped(100.0 * tangential)
            profile[x] = 0.0 if flat else _clipped(100.0 * along)


@compiled
def _clipped(value: float) -> float:
    """The value within the curvature limits; NaN stays NaN."""
    low = -CURVATURE_LIMIT if value < -CURVATURE_LIMIT else value
    return CURVATURE_LIMIT if low > CURVATURE_LIMIT else low
