"""The event grid: 30 m UTM, snapped to the zone's lattice."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from headscarp.core.event import Shaking

PIXEL_M = 30.0
PGA_FLOOR_G = 0.02
"""Shaking below this sets off no landslides that anyone maps."""


class Bounds(NamedTuple):
    """West, south, east, north in the units of the CRS they belong to."""

    west: float
    south: float
    east: float
    north: float


class Extent(NamedTuple):
    """Where a product is made, and whether the ShakeMap's own edge cuts it short."""

    grid: GeoBox
    cut_by_shakemap_edge: bool


def utm_crs(longitude: float, latitude: float) -> CRS:
    """The UTM zone of a point, its lattice used past the zone's edge where an event needs it.

    Longitudes outside [-180, 180) are wrapped. The zone of a point is a plain six-degree strip:
    the exceptions of Norway and Svalbard would only make the lattice irregular.
    """
    zone = int(((longitude + 180.0) % 360.0) // 6.0) + 1
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def snapped_grid(bounds: Bounds, crs: CRS, *, pixel_m: float = PIXEL_M) -> GeoBox:
    """The smallest lattice-aligned grid that holds `bounds`, given in the units of `crs`."""
    west, north = (
        math.floor(bounds.west / pixel_m) * pixel_m,
        math.ceil(bounds.north / pixel_m) * pixel_m,
    )
    width = max(1, math.ceil((bounds.east - west) / pixel_m))
    height = max(1, math.ceil((north - bounds.south) / pixel_m))
    transform = Affine(pixel_m, 0.0, west, 0.0, -pixel_m, north)
    return GeoBox(wh_(width, height), transform, crs.to_epsg() or crs)


def project_cells(grid: GeoBox, selected: np.ndarray, crs: CRS) -> Bounds:
    """Bounds in `crs` of the selected cells of `grid`, cell edges included, curvature included."""
    rows, cols = np.nonzero(selected)
    corners = [(cols + dx, rows + dy) for dx in (0, 1) for dy in (0, 1)]
    px = np.concatenate([c for c, _ in corners]).astype(float)
    py = np.concatenate([r for _, r in corners]).astype(float)
    a, b, c, d, e, f = grid.transform[:6]
    x, y = a * px + b * py + c, d * px + e * py + f
    to_crs = Transformer.from_crs(str(grid.crs), crs, always_xy=True)
    easting, northing = to_crs.transform(x, y)
    return Bounds(float(np.min(easting)), float(np.min(northing)), float(np.max(easting)), float(np.max(northing)))


def event_extent(
    shaking: Shaking, longitude: float, latitude: float, *, floor_g: float = PGA_FLOOR_G, pixel_m: float = PIXEL_M
) -> Extent:
    """The grid that holds every ShakeMap cell with PGA at or above `floor_g`.

    Land is not known yet at this point: sea inside the grid is masked while the cube is built.
    Cells are taken as areas, so the grid covers whole cells. If no cell reaches `floor_g`,
    the whole ShakeMap is the extent, since the question was asked about this quake.
    """
    felt = np.nan_to_num(shaking.pga, nan=-1.0) >= floor_g
    cut = bool(felt[0].any() or felt[-1].any() or felt[:, 0].any() or felt[:, -1].any())
    if not felt.any():
        felt = np.isfinite(shaking.pga)
    crs = utm_crs(longitude, latitude)
    return Extent(snapped_grid(project_cells(shaking.grid, felt, crs), crs, pixel_m=pixel_m), cut)
