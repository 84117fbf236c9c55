"""Landslide rasters as polygons: cells of one landslide class, the mapped cells, the ignored ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from headscarp.errors import BadRaster, InvalidInput
from headscarp.io.inputs.inventory_files import Features, Geometries, check_signature

MAX_CELLS: Final = 400_000_000
MAX_CLASSES: Final = 8
"""Distinct values shown in messages."""


def read_cells(path: Path, *, value: int | None = None) -> tuple[Features, Geometries]:
    """Landslides and mapped ground of a raster, in its own CRS.

    Args:
        path: A GeoTIFF of whole numbers.
        value: The value of landslide cells; without it the raster may hold 0, 1 and nodata only.

    Returns:
        Features, one per group of landslide cells that share sides, and the polygons of all cells that
        are not nodata.

    Raises:
        BadRaster: no whole GeoTIFF, too large, without CRS, or of fractional values.
        InvalidInput: it holds other values, or no landslide cell.
    """
    stored, valid, transform, crs = _read(path)
    slides = valid & (stored == _landslide_value(stored[valid], value, path))
    if not slides.any():
        raise InvalidInput(f"{path}: expected landslide cells, found none of {value if value is not None else 1}")
    return (
        Features(_outlines(slides, transform), {}, crs, path.stem, "GTiff"),
        _outlines(valid, transform),
    )


def read_marked(path: Path) -> Features:
    """The cells of a raster that are neither 0 nor nodata, as of a mask. Raises as `read_cells`."""
    stored, valid, transform, crs = _read(path)
    return Features(_outlines(valid & (stored != 0), transform), {}, crs, path.stem, "GTiff")


def _landslide_value(found: NDArray[Any], value: int | None, path: Path) -> int:
    values = np.unique(found)
    if value is not None:
        return value
    if not np.isin(values, (0, 1)).all():
        shown = ", ".join(map(str, values[:MAX_CLASSES].tolist())) + (" ..." if len(values) > MAX_CLASSES else "")
        raise InvalidInput(f"{path}: expected 0, 1 and nodata, or to be told which is landslide, found {shown}")
    return 1


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.bool_], Any, CRS]:
    """Stored values, which of them are not nodata, transform and CRS."""
    import rasterio
    from rasterio.errors import RasterioError

    check_signature(path)
    try:
        with rasterio.open(path, driver="GTiff") as file:
            if file.width * file.height > MAX_CELLS:
                raise BadRaster(f"{path}: expected at most {MAX_CELLS} cells, found {file.width} x {file.height}")
            if file.crs is None or file.transform.is_identity:
                raise BadRaster(f"{path}: expected a georeferenced raster, found no CRS or transform")
            stored, valid = file.read(1), file.read_masks(1) > 0
            transform, crs = file.transform, CRS.from_user_input(file.crs)
    except (RasterioError, OSError) as error:
        raise BadRaster(f"{path}: expected a whole GeoTIFF: {error}") from error
    if np.issubdtype(stored.dtype, np.floating):
        valid &= np.isfinite(stored)
        if not (stored[valid] == np.floor(stored[valid])).all():
            raise BadRaster(f"{path}: expected classes, found fractions such as a probability")
    return stored, valid, transform, crs


def _outlines(mask: NDArray[np.bool_], transform: Any) -> Geometries:
    """Polygons of the groups of True cells that share sides."""
    from rasterio.features import shapes

    rings = [shapely.geometry.shape(s) for s, _ in shapes(mask.astype(np.uint8), mask=mask, transform=transform)]
    return np.array(rings, dtype=object)
