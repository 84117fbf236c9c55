"""Where a grid lies on the globe: outlines and bounds in WGS 84, whole at the antimeridian.

Longitudes are kept unwrapped (they may pass 180) until the very end; only then are they split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.windows import Window as RasterWindow
from shapely import MultiPolygon, Polygon, affinity, box, convex_hull, multipoints, orient_polygons
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from headscarp.core.grid import Bounds
from headscarp.core.status import Status
from headscarp.core.types import Attributes, Mask
from headscarp.io.outputs.cog import CACHE_MB

WORLD = box(-180.0, -90.0, 180.0, 90.0)
DIGITS = 6
EDGE_POINTS = 32
"""Points along each side of an outline, so that straight grid lines stay where they are on the globe."""


def valid_hull(status: Path) -> Polygon | None:
    """Convex hull of the pixels with status VALID or OUT_OF_DOMAIN in pixel coordinates; None if there are none."""
    corners: list[NDArray[np.float64]] = []
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(status) as source:
        for top in range(0, source.height, 512):
            rows = min(512, source.height - top)
            codes = source.read(1, window=RasterWindow(0, top, source.width, rows))
            corners.append(_row_ends(np.isin(codes, (Status.VALID, Status.OUT_OF_DOMAIN)), top))
    hull = convex_hull(multipoints(np.concatenate(corners)))
    return hull if isinstance(hull, Polygon) and not hull.is_empty else None


def _row_ends(mask: Mask, top: int) -> NDArray[np.float64]:
    """(point, 2) outer corners, x and y, of the first and last true pixel of each row."""
    rows = np.nonzero(mask.any(axis=1))[0]
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    x = np.concatenate([first, last, first, last])
    y = np.concatenate([rows, rows, rows + 1, rows + 1]) + top
    return np.column_stack([x, y]).astype(np.float64)


def outline(grid: GeoBox, pixels: Polygon | None = None) -> Polygon:
    """A polygon of pixel coordinates, or the whole grid, in degrees; longitudes unwrapped about its centre."""
    height, width = grid.shape
    shape = box(0, 0, width, height) if pixels is None else pixels
    dense = shape.segmentize(max(max(height, width) / EDGE_POINTS, 1.0)).exterior
    px, py = np.asarray(dense.coords).T
    longitude, latitude = _to_degrees(grid, px, py)
    return Polygon(np.column_stack([longitude, latitude]).round(DIGITS)).buffer(0)


def unwrapped_bounds(grid: GeoBox) -> Bounds:
    """West, south, east, north of the grid in degrees; east passes 180 where the grid does."""
    return Bounds(*outline(grid).bounds)


def _to_degrees(grid: GeoBox, px: np.ndarray, py: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    to_wgs84 = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    height, width = grid.shape
    centre = to_wgs84.transform(*(grid.transform @ (width / 2, height / 2)))[0]
    t = grid.transform
    longitude, latitude = to_wgs84.transform(t.a * px + t.b * py + t.c, t.d * px + t.e * py + t.f)
    return centre + (np.asarray(longitude) - centre + 180.0) % 360.0 - 180.0, np.asarray(latitude)


def split(shape: BaseGeometry) -> BaseGeometry:
    """An unwrapped outline cut at the antimeridian, every part within [-180, 180]."""
    parts: list[Polygon] = []
    for shift in (-360.0, 0.0, 360.0):
        part = affinity.translate(shape, xoff=shift).intersection(WORLD)
        parts += [p for p in getattr(part, "geoms", (part,)) if isinstance(p, Polygon) and p.area > 0]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def geojson(shape: BaseGeometry) -> Attributes:
    """GeoJSON geometry of an unwrapped outline, split, with exterior rings counter-clockwise."""
    parts = split(shape)
    polygons = [orient_polygons(part.normalize()) for part in getattr(parts, "geoms", (parts,))]
    whole = polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)
    coordinates = mapping(whole)
    return {"type": coordinates["type"], "coordinates": _lists(coordinates["coordinates"])}


def _lists(value: object) -> object:
    """Tuples to lists, as JSON reads back."""
    return [_lists(v) for v in value] if isinstance(value, tuple | list) else value


def wrapped_bbox(bounds: Bounds) -> list[float]:
    """GeoJSON bounding box: west is greater than east where the box crosses the antimeridian (RFC 7946, 5.2)."""
    west, east = ((x + 180.0) % 360.0 - 180.0 if not -180.0 <= x <= 180.0 else x for x in (bounds.west, bounds.east))
    return [round(v, DIGITS) for v in (west, bounds.south, east, bounds.north)]


def flat_bounds(bounds: Bounds) -> Bounds:
    """Bounds that never wrap, as tile descriptions need them: the whole width where the box crosses 180 degrees."""
    if bounds.west < -180.0 or bounds.east > 180.0:
        return Bounds(-180.0, bounds.south, 180.0, bounds.north)
    return bounds
