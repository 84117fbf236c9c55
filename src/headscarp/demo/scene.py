"""A SYNTHETIC place as maps that can be drawn on any grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.warp import Resampling, reproject

from headscarp.core.grid import Bounds
from headscarp.core.types import Codes, Raster
from headscarp.world.generate import World

Painter = Callable[[GeoBox], NDArray[Any]]
"""Values (y, x) of a map on any grid."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Maps of a place that has nothing but sea around it."""

    bounds: Bounds
    """Degrees; nothing is asked for outside."""
    elevation: Painter
    """Metres; 0 or less at sea."""
    land_cover: Painter
    """WorldCover classes, 0 unknown."""
    ndvi: Painter
    soil: Painter
    """WRB groups from 1, 0 unknown."""
    faults: tuple[NDArray[np.float64], ...] = ()
    """(n, 2) polylines of longitude and latitude."""


def scene_on(
    grid: GeoBox,
    *,
    elevation: Raster,
    land_cover: Codes,
    ndvi: Raster,
    soil: Codes,
    faults: tuple[NDArray[np.float64], ...] = (),
) -> Scene:
    """Maps (y, x) on a projected grid as a scene; faults are polylines in the grid's CRS."""
    to_degrees = Transformer.from_crs(str(grid.crs), 4326, always_xy=True)
    return Scene(
        bounds=Bounds(*to_degrees.transform_bounds(*grid.boundingbox.bbox, densify_pts=41)),
        elevation=partial(_warped, elevation, grid, Resampling.bilinear, 0.0),
        land_cover=partial(_warped, land_cover, grid, Resampling.nearest, 0),
        ndvi=partial(_warped, ndvi, grid, Resampling.bilinear, np.nan),
        soil=partial(_warped, soil, grid, Resampling.nearest, 0),
        faults=tuple(np.column_stack(to_degrees.transform(*line.T)) for line in faults),
    )


def scene_of(world: World) -> Scene:
    """The maps of a synthetic world as a scene."""
    maps = {name: getattr(world, name) for name in ("elevation", "land_cover", "ndvi", "soil", "faults")}
    return scene_on(world.grid, **maps)


def _warped(values: NDArray[Any], grid: GeoBox, resampling: Resampling, outside: float, target: GeoBox) -> NDArray[Any]:
    """Values on another grid; `outside` beyond their own, missing ones stay missing."""
    placed = {
        "src_transform": grid.transform, "src_crs": str(grid.crs),
        "dst_transform": target.transform, "dst_crs": str(target.crs),
    }  # fmt: skip
    out = np.zeros((target.shape.y, target.shape.x), values.dtype)
    missing = np.nan if values.dtype.kind == "f" else None
    reproject(values, out, **placed, resampling=resampling, src_nodata=missing, dst_nodata=missing)
    inside = np.zeros(out.shape, np.uint8)
    reproject(np.ones(values.shape, np.uint8), inside, **placed, resampling=Resampling.nearest)
    return np.where(inside == 1, out, np.asarray(outside, values.dtype))
