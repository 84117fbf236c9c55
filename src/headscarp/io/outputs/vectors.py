"""Polygons as a GeoPackage whose bytes depend on nothing but its content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyproj import CRS


def write_polygons(
    path: Path, shapes: NDArray[np.object_], fields: Mapping[str, NDArray[Any]], *, crs: CRS, stamp: datetime
) -> None:
    """One layer, named as the file, of multipolygons and their attributes.

    Args:
        path: The .gpkg to write.
        shapes: (n,) polygons or multipolygons.
        fields: Attributes by name, (n,) each.
        crs: Of the shapes.
        stamp: The date of change that the file carries: one that belongs to the content, not the present.
    """
    several = [shapely.multipolygons(list(shapely.get_parts(shape))) for shape in shapes]
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": stamp.strftime("%Y-%m-%dT%H:%M:%SZ")})
    try:
        pyogrio.raw.write(
            str(path),
            shapely.to_wkb(np.array(several, dtype=object)),
            list(fields.values()),
            list(fields),
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=crs.to_wkt() if crs.to_epsg() is None else f"EPSG:{crs.to_epsg()}",
            layer=path.stem,
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
