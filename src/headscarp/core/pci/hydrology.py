"""Wetness and streams from the drainage of an area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.pci.elementary import ln_row, tangent
from headscarp.core.pci.flow import contributing_cells, drainage
from headscarp.core.pci.pixels import PixelSize
from headscarp.core.types import Mask, Raster

CHANNEL_AREA_M2 = 1.0e6
"""A stream begins where this much land drains through a cell; larger areas count as this one.

The cap is what makes wetness a local quantity: what happens upstream of a stream's head does not
change it, so a block needs a halo of the length of a first-order basin only.
"""
LEAST_TANGENT = 0.001

_RADIANS = float(np.pi / 180.0)


class Hydrology(NamedTuple):
    """Topographic wetness index, and streams as 1 and 0; both NaN where the elevation is."""

    wetness: Raster
    streams: Raster


def hydrology(elevation: Raster, land: Mask, slope: Raster, pixel: PixelSize) -> Hydrology:
    """Wetness ln(a / tan b) and the stream mask.

    `a` is the contributing area over the pixel's side, capped at `CHANNEL_AREA_M2`, `b` the slope
    given in degrees, its tangent at least `LEAST_TANGENT`: Beven and Kirkby (1979),
    https://doi.org/10.1080/02626667909491834. The sea has no wetness (NaN) and no streams (0).
    """
    flow = drainage(elevation, land, height_m=pixel.y, width_m=pixel.x)
    cells = contributing_cells(flow)
    wetness, streams = np.empty(elevation.shape, dtype=np.float32), np.empty(elevation.shape, dtype=np.float32)
    _wetness(cells, slope, pixel.area_m2, pixel.mean, wetness)
    _streams(cells, elevation, pixel.area_m2, streams)
    return Hydrology(wetness, streams)


@compiled
def _streams(cells: NDArray[np.int32], elevation: Raster, cell_m2: float, out: Raster) -> None:
    """1 where enough drains, else 0; NaN where the elevation is."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            flows = np.float32(1.0) if cells[y, x] * cell_m2 >= CHANNEL_AREA_M2 else np.float32(0.0)
            out[y, x] = flows + (elevation[y, x] - elevation[y, x])


@compiled
def _wetness(cells: NDArray[np.int32], slope: Raster, cell_m2: float, side_m: float, out: Raster) -> None:
    """ln(a / tan b) where anything drains, NaN elsewhere."""
    ratio = np.empty(out.shape[1])
    for y in range(out.shape[0]):
        _area_over_tangent(cells[y], slope[y], cell_m2, side_m, ratio)
        ln_row(ratio, out[y])


@compiled
def _area_over_tangent(
    cells: NDArray[np.int32], slope: NDArray[np.float32], cell_m2: float, side_m: float, ratio: NDArray[np.float64]
) -> None:
    for x in range(ratio.size):
        area = cells[x] * cell_m2
        steepness = tangent(np.float64(slope[x]) * _RADIANS)
        steepness = LEAST_TANGENT if steepness < LEAST_TANGENT else steepness
        capped = CHANNEL_AREA_M2 if area > CHANNEL_AREA_M2 else area
        ratio[x] = capped / (side_m * steepness) if area > 0.0 else np.nan
