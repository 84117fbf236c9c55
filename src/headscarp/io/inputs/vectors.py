"""Vector layers: the polylines near an event grid, in its CRS."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer

from headscarp.core.grid import Bounds
from headscarp.core.pci.kernels import Lines
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput, SourceUnavailable
from headscarp.io.inputs.origin import gdal_options, gdal_path, identify, is_remote
from headscarp.io.inputs.sources import SourceSpec


def read_lines(
    name: str, spec: SourceSpec, grid: GeoBox, *, reach_m: float, timeout_s: float = 30.0
) -> tuple[Lines, Attributes]:
    """Lines (and outlines of areas) within `reach_m` of the grid, clipped there, and what identifies the file.

    Coordinates are x, y in the CRS of the grid. No line near is an empty list.

    Raises:
        InvalidInput: the file is not there, is no vector file, or has no CRS.
        SourceUnavailable: its host did not answer.
    """
    identity = identify(spec.href, timeout_s=timeout_s)
    if identity is None:
        raise InvalidInput(f"layer {name}: {spec.href}: no such file")
    pyogrio.set_gdal_config_options(gdal_options(timeout_s))
    try:
        found = pyogrio.read_info(gdal_path(spec.href))["crs"]
        if found is None:
            raise InvalidInput(f"layer {name}: {spec.href}: expected a vector file with a CRS, found none")
        crs = CRS.from_user_input(found)
        lines = [part for box in _boxes(grid, crs, reach_m) for part in _read(spec.href, box)]
    except (DataSourceError, DataLayerError) as error:
        kind = SourceUnavailable if is_remote(spec.href) else InvalidInput
        raise kind(f"layer {name}: {spec.href}: cannot be read as vectors: {error}") from error
    to_grid = Transformer.from_crs(crs, str(grid.crs), always_xy=True)
    return [line for part in lines for line in _projected(part, to_grid)], identity


def _boxes(grid: GeoBox, crs: CRS, reach_m: float) -> Iterator[Bounds]:
    """Search boxes in the CRS of the file; two where the antimeridian cuts the area."""
    box = grid.boundingbox.buffered(reach_m)
    to_file = Transformer.from_crs(str(grid.crs), crs, always_xy=True)
    west, south, east, north = to_file.transform_bounds(*box.bbox, densify_pts=41)
    if crs.is_geographic and west > east:
        yield Bounds(west, south, 180.0, north)
        yield Bounds(-180.0, south, east, north)
    else:
        yield Bounds(west, south, east, north)


def _read(href: str, box: Bounds) -> list[NDArray[np.float64]]:
    """Coordinates of the lines inside a box, in the CRS of the file."""
    _, _, geometry, _ = pyogrio.raw.read(gdal_path(href), bbox=tuple(box), columns=[], force_2d=True)
    shapes = shapely.from_wkb(geometry)
    areas = np.isin(shapely.get_type_id(shapes), (3, 6))
    shapes[areas] = shapely.boundary(shapes[areas])
    parts = shapely.get_parts(shapely.clip_by_rect(shapes, *box))
    parts = shapely.get_parts(parts[shapely.get_dimensions(parts) == 1])
    return [shapely.get_coordinates(part) for part in parts]


def _projected(line: NDArray[np.float64], to_grid: Transformer) -> Iterator[NDArray[np.float64]]:
    """The line in the CRS of the grid; vertices that have no place there are left out."""
    moved = np.column_stack(to_grid.transform(line[:, 0], line[:, 1]))
    moved = moved[np.isfinite(moved).all(axis=1)]
    if len(moved) >= 2:
        yield moved
