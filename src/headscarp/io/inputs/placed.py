"""Windows of source files placed on their lattices, ready to be sampled on a target grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from headscarp.core.types import Raster
from headscarp.core.warp import Patch, Positions, project, sample, sample_codes

_MARGIN_PX = 12
"""Source pixels read around a window: two void widths, and the widest resampling kernel."""
_TORN_M = 1e7
"""No grid is this wide: where its positions are, the map they are on is torn in between."""
_WGS84 = CRS.from_epsg(4326)
_BRIDGE_PX = 2
"""Pixels of its own size by which a fallback's patch goes on into the finer tiles beside it."""


class Piece(NamedTuple):
    """Source pixels, and where to sample them."""

    patch: Patch
    at: Positions


def positions_on(grid: GeoBox, crs: CRS) -> tuple[Positions, ...]:
    """Pixel centres of a grid on a source, once for every place on it where the grid may lie.

    In degrees, longitudes may be counted from -180, 0 or 180. On a projected map of the world, the
    two sides of 180 degrees are its two edges: each is continued past its edge as if there were none.
    """
    at = project(grid, crs)
    if crs.is_geographic:
        return tuple(at.shifted(turn) for turn in (0.0, 360.0, -360.0))
    if np.ptp(at.x) < _TORN_M:
        return (at,)
    degrees = project(grid, _WGS84)
    onward = Transformer.from_crs(_WGS84, crs, always_xy=True, force_over=True)
    sides = (degrees, degrees.shifted(-360.0 if degrees.x.max() > 180.0 else 360.0))
    return tuple(replace(at, x=x, y=y) for x, y in (onward.transform(side.x, side.y) for side in sides))


def source_window(dataset: DatasetReader, at: Positions) -> RasterWindow | None:
    """The part of the dataset that the positions need, None if they lie elsewhere."""
    rows, columns = at.pixels(dataset.transform)
    known = np.isfinite(rows) & np.isfinite(columns)
    if not known.any():
        return None
    top, bottom = _clipped(rows[known], dataset.height)
    left, right = _clipped(columns[known], dataset.width)
    return RasterWindow(left, top, right - left, bottom - top) if bottom > top and right > left else None


def _clipped(positions: np.ndarray, size: int) -> tuple[int, int]:
    low, high = math.floor(positions.min()) - _MARGIN_PX, math.ceil(positions.max()) + _MARGIN_PX + 1
    return max(low, 0), min(high, size)


def north_up(values: np.ndarray, dataset: DatasetReader, window: RasterWindow) -> Patch:
    """A window of a file on its lattice, northernmost row first whichever way the file counts its rows."""
    if dataset.transform.e < 0:
        return Patch(values, dataset.transform, window.row_off, window.col_off)
    lattice = dataset.transform * Affine.translation(0, dataset.height) * Affine.scale(1, -1)
    return Patch(values[::-1], lattice, dataset.height - window.row_off - window.height, window.col_off)


def bridged(patch: Patch, finer: Sequence[Patch], fill: float) -> Patch:
    """The patch with a rim of values from the finer patches around it, so that interpolation goes on across its edge.

    Coarser pixels begin and end elsewhere than the finer ones beside them, and would leave a gap.
    """
    values = np.pad(patch.values, _BRIDGE_PX, constant_values=fill)
    row, column = patch.row - _BRIDGE_PX, patch.column - _BRIDGE_PX
    grid = GeoBox(values.shape, patch.lattice * Affine.translation(column, row), "EPSG:4326")
    at = project(grid, CRS.from_epsg(4326))
    rim = np.ones(values.shape, bool)
    rim[_BRIDGE_PX:-_BRIDGE_PX, _BRIDGE_PX:-_BRIDGE_PX] = False
    for other in reversed(finer):
        floats = values.dtype.kind == "f"
        found = sample(other, at, "bilinear") if floats else sample_codes(other, at, "nearest")
        np.copyto(values, found, where=rim & (np.isfinite(found) if floats else found != fill))
    return Patch(values, patch.lattice, row, column)


def first_known(rasters: Iterator[Raster], grid: GeoBox) -> Raster:
    """Pixel by pixel the first value that is not NaN; the first raster is written to."""
    out = next(rasters, None)
    if out is None:
        return np.full((grid.shape.y, grid.shape.x), np.nan, np.float32)
    for raster in rasters:
        np.copyto(out, raster, where=np.isnan(out))
    return out
