"""Small voids of an elevation model filled, and its sea flattened, before it is interpolated."""

from __future__ import annotations

import numpy as np
from rasterio.fill import fillnodata
from scipy.ndimage import maximum_filter, minimum_filter

from headscarp.core.types import Mask, Raster

VOID_PX = 5
"""Voids up to this wide are filled."""


def fill_small_voids(values: Raster, *, width_px: int = VOID_PX) -> Raster:
    """Voids up to `width_px` wide filled by inverse distance; wider ones and the outside of the source stay NaN.

    A void pixel is kept where a square of `width_px` + 1 fits into the void around it.
    """
    void = np.isnan(values)
    if not void.any() or void.all():
        return values
    small = void & ~_opened(void, width_px + 1)
    if not small.any():
        return values
    filled = fillnodata(np.where(void, 0, values), mask=~void, max_search_distance=width_px, smoothing_iterations=0)
    return np.where(small, filled, values).astype(np.float32)


def _opened(mask: Mask, side: int) -> Mask:
    """Pixels covered by squares that fit into the mask, which goes on outside the array."""
    padded = np.pad(mask.astype(np.uint8), side, constant_values=1)
    origin = -1 if side % 2 == 0 else 0
    opened = maximum_filter(minimum_filter(padded, side), side, origin=origin)
    return np.asarray(opened[side:-side, side:-side] > 0)


def flatten_sea(values: Raster, sea: float | None) -> tuple[Raster, Raster]:
    """Elevation with the sea at 0, and land as 1, 0 or NaN."""
    unknown = np.isnan(values)
    if sea is None:
        return values, np.where(unknown, np.nan, 1.0).astype(np.float32)
    land = np.where(unknown, np.nan, values > sea).astype(np.float32)
    return np.where(land == 0, 0.0, values).astype(np.float32), land
