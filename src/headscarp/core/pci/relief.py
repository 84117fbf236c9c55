"""Relief, roughness and topographic position: terrain over a neighbourhood of hundreds of metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.pci.focal import disc, focal_mean, window_range
from headscarp.core.pci.pixels import PixelSize, half_side_px, radius_px
from headscarp.core.pci.terrain import gradient_row
from headscarp.core.types import Raster

RELIEF_SIDE_M = 2010.0
ROUGHNESS_SIDE_M = 270.0
TPI_RADIUS_M = 300.0
LEAST_SHARE = 0.5
"""Share of a window that must be known for its value to be."""


def relief(elevation: Raster, pixel: PixelSize) -> Raster:
    """Highest minus lowest elevation in metres in a square of `RELIEF_SIDE_M`.

    NaN where the elevation is missing or less than half of the window is known.
    """
    return window_range(elevation, half_side_px(RELIEF_SIDE_M, pixel), least_share=LEAST_SHARE)


def roughness(elevation: Raster, pixel: PixelSize) -> Raster:
    """Vector ruggedness, 0 on any plane to 1, in a square of `ROUGHNESS_SIDE_M`.

    One minus the length of the mean of unit normals, Sappington et al. (2007),
    https://doi.org/10.2193/2005-723. NaN where the elevation is missing or less than half of the
    window has a normal.
    """
    out = np.empty(elevation.shape, dtype=np.float32)
    _ruggedness(elevation, (pixel.y, pixel.x), half_side_px(ROUGHNESS_SIDE_M, pixel), out)
    return out


def topographic_position(elevation: Raster, pixel: PixelSize) -> Raster:
    """Elevation minus the mean elevation in metres of a disc of `TPI_RADIUS_M`, Weiss (2001).

    NaN where the elevation is missing or less than half of the disc is known.
    """
    mean = focal_mean(elevation, disc(radius_px(TPI_RADIUS_M, pixel)), least_share=LEAST_SHARE)
    return (elevation - mean).astype(np.float32)


@compiled
def _ruggedness(z: Raster, pixel: tuple[float, float], half: int, out: Raster) -> None:
    """Rows of normals summed along x wait in a ring until their window is complete."""
    rows, columns = z.shape
    side = 2 * half + 1
    ring = np.zeros((side, 4, columns))
    normals = np.zeros((4, columns + 2 * half))
    east, north = np.empty(columns), np.empty(columns)
    least = LEAST_SHARE * side * side
    for y in range(rows + half):
        sums = ring[y % side]
        sums[:] = 0.0
        if y < rows:
            gradient_row(z, y, pixel, east, north)
            _unit_normals(z[y], east, north, normals[:, half : half + columns])
            _sum_along(normals, sums)
        if y >= half:
            _ruggedness_row(ring, y + 1, least, z[y - half], out[y - half])


@compiled
def _unit_normals(
    z: NDArray[np.float32], east: NDArray[np.float64], north: NDArray[np.float64], normals: NDArray[np.float64]
) -> None:
    """East, north and up part of the unit normal and 1; all 0 where there is none."""
    for x in range(z.size):
        length = np.sqrt(1.0 + east[x] * east[x] + north[x] * north[x])
        known = not (np.isnan(length) or np.isnan(z[x]))
        normals[0, x] = -east[x] / length if known else 0.0
        normals[1, x] = -north[x] / length if known else 0.0
        normals[2, x] = 1.0 / length if known else 0.0
        normals[3, x] = 1.0 if known else 0.0


@compiled
def _sum_along(parts: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    """Sums over the window's width, (part, columns)."""
    side = parts.shape[1] - sums.shape[1] + 1
    for part in range(parts.shape[0]):
        for k in range(side):
            for x in range(sums.shape[1]):
                sums[part, x] += parts[part, x + k]


@compiled
def _ruggedness_row(
    ring: NDArray[np.float64], oldest: int, least: float, z: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Combine the rows of the ring, the oldest first so that the order of sums never changes."""
    side = ring.shape[0]
    total = np.zeros(ring.shape[1:])
    for k in range(side):
        total += ring[(oldest + k) % side]
    for x in range(z.size):
        length = np.sqrt(total[0, x] ** 2 + total[1, x] ** 2 + total[2, x] ** 2)
        known = total[3, x] >= least and not np.isnan(z[x])
        out[x] = max(0.0, 1.0 - length / total[3, x]) if known else np.nan
