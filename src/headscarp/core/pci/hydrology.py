"""Wetness and streams from the drainage of an area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.pci.flow import contributing_cells, drainage
from headscarp.core.pci.pixels import PixelSize
from headscarp.core.types import Mask, Raster

CHANNEL_AREA_M2 = 1.0e6
"""A stream begins where this much land drains through a cell; larger areas count as this one.

The cap is what makes wetness a local quantity: what happens upstream of a stream's head does not
change it, so a block needs a halo of the length of a first-order basin only.
"""
LEAST_TANGENT = 0.001


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
    wetness = np.empty(elevation.shape, dtype=np.float32)
    _wetness(cells, slope, pixel.area_m2, pixel.mean, wetness)
    streams = (cells * pixel.area_m2 >= CHANNEL_AREA_M2).astype(np.float32)
    streams[np.isnan(elevation)] = np.nan
    return Hydrology(wetness, streams)


@compiled
def _wetness(cells: NDArray[np.int32], slope: Raster, cell_m2: float, side_m: float, out: Raster) -> None:
    """ln(a / tan b) where anything drains, NaN elsewhere."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            area = min(cells[y, x] * cell_m2, CHANNEL_AREA_M2)
            tangent = np.tan(np.radians(np.float64(slope[y, x])))
            tangent = LEAST_TANGENT if tangent < LEAST_TANGENT else tangent
            out[y, x] = np.log(area / (side_m * tangent)) if area > 0.0 else np.nan
