"""Inventories to read in tests: shapes, files and a place for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from pyproj import CRS, Transformer
from rasterio.transform import from_origin

from headscarp.core.grid import Bounds
from headscarp.io.inputs.inventory import Place

UTM = CRS.from_epsg(32643)
AREA = Bounds(340_000.0, 3_820_000.0, 356_000.0, 3_840_000.0)
PLACE = Place(UTM, AREA, "the DEM", datetime(2005, 10, 8, 3, 50, 40, tzinfo=UTC))

FORMATS = {
    "a.gpkg": "GPKG",
    "a.shp": "ESRI Shapefile",
    "a.geojson": "GeoJSON",
    "a.fgb": "FlatGeobuf",
    "a.kml": "LIBKML",
}


def slide(column: int, row: int = 0, size: float = 100.0) -> shapely.Polygon:
    """An irregular pentagon of 0.65 size**2; a grid of them, 400 m apart."""
    x, y = 345_000.0 + 400 * column, 3_830_000.0 + 400 * row
    corners = [(0.1, 0.0), (0.9, 0.2), (1.0, 0.7), (0.4, 1.0), (0.0, 0.6)]
    return shapely.Polygon([(x + size * u, y + size * v) for u, v in corners])


def moved(shapes: Sequence[Any], crs: str) -> list[Any]:
    """Shapes of the UTM zone in another CRS."""
    move = Transformer.from_crs(UTM, CRS.from_user_input(crs), always_xy=True)
    return list(shapely.transform(np.array(shapes), lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1]))))


def write_vector(
    path: Path, shapes: Sequence[Any], fields: Mapping[str, Sequence[Any]] | None = None, *, crs: str | None = None
) -> Path:
    """One layer in the format of the suffix; KML and GeoJSON in degrees."""
    degrees = path.suffix in {".kml", ".geojson"} and crs is None
    stored = moved(shapes, "EPSG:4326") if degrees else list(shapes)
    columns = {name: np.array(values) for name, values in (fields or {}).items()}
    pyogrio.raw.write(
        str(path),
        shapely.to_wkb(np.array(stored, dtype=object)),
        [v.astype(object) if v.dtype.kind == "U" else v for v in columns.values()],
        list(columns),
        driver=FORMATS["a" + path.suffix],
        geometry_type="Unknown" if path.suffix != ".shp" else "Polygon",
        crs="EPSG:4326" if degrees else (crs or "EPSG:32643"),
    )
    return path


def write_geojson(path: Path, geometries: Sequence[Mapping[str, Any] | None], **top: Any) -> Path:
    """A GeoJSON written by hand, for what no library writes."""
    features = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in geometries]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features, **top}))
    return path


def write_cells(path: Path, values: np.ndarray, *, crs: str | None = "EPSG:32643", nodata: float | None = None) -> Path:
    """A raster of 30 m cells in the place."""
    height, width = values.shape
    options = {"crs": crs, "transform": from_origin(345_000, 3_835_000, 30, 30), "nodata": nodata}
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype=values.dtype, **options
    ) as file:
        file.write(values, 1)
    return path
