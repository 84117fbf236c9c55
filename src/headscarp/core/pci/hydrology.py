"""Wetness and streams from the drainage of an area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headscarp.core.pci.flow import contributing_cells, drainage
from headscarp.core.pci.lattice import PixelSize
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
    cells = contributing_cells(flow.receiver, flow.order).reshape(elevation.shape)
    area = np.minimum(cells * pixel.area_m2, CHANNEL_AREA_M2)
    tangent = np.maximum(np.tan(np.radians(slope, dtype=np.float64)), LEAST_TANGENT)
    drained = cells > 0
    wetness = np.full(elevation.shape, np.nan, dtype=np.float32)
    wetness[drained] = np.log(area[drained] / pixel.mean / tangent[drained])
    streams = (area >= CHANNEL_AREA_M2).astype(np.float32)
    streams[np.isnan(elevation)] = np.nan
    return Hydrology(wetness, streams)
