"""Relief and topographic position: terrain over a neighbourhood of hundreds of metres."""

from __future__ import annotations

from headscarp.core.pci.focal import above_disc_mean, window_range
from headscarp.core.pci.pixels import PixelSize, half_side_px, radius_px
from headscarp.core.types import Raster

RELIEF_SIDE_M = 2010.0
TPI_RADIUS_M = 300.0
LEAST_SHARE = 0.5
"""Share of a window that must be known for its value to be."""


def relief(elevation: Raster, pixel: PixelSize) -> Raster:
    """Highest minus lowest elevation in metres in a square of `RELIEF_SIDE_M`.

    NaN where the elevation is missing or less than half of the window is known.
    """
    return window_range(elevation, half_side_px(RELIEF_SIDE_M, pixel), least_share=LEAST_SHARE)


def local_range(elevation: Raster) -> Raster:
    """Highest minus lowest elevation in metres of 3 x 3 pixels.

    Wilson et al. (2007), https://doi.org/10.1080/01490410701295962. NaN where the elevation is missing
    or less than half of the window is known.
    """
    return window_range(elevation, 1, least_share=LEAST_SHARE)


def topographic_position(elevation: Raster, pixel: PixelSize) -> Raster:
    """Elevation minus the mean elevation in metres of a disc of `TPI_RADIUS_M`, Weiss (2001).

    NaN where the elevation is missing or less than half of the disc is known.
    """
    return above_disc_mean(elevation, radius_px(TPI_RADIUS_M, pixel), least_share=LEAST_SHARE)
