"""Vector layers: the polylines near a grid, in its CRS.

A segment between two vertices of the file is kept as it is or left out; it is never cut at the box
that was asked for. So a place gets the same distances whichever grid it is part of.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

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
from headscarp.io.inputs.spec import SourceSpec

HELD_FEATURES = 100_000
"""A file of at most this many features is read once and held; of larger ones each grid reads its part."""


class LineLayer:
    """One vector layer of the source registry; safe to use from several threads."""

    def __init__(self, name: str, spec: SourceSpec, *, timeout_s: float = 30.0) -> None:
        self.name, self.spec, self.timeout_s = name, spec, timeout_s
        self._lock = Lock()
        self._identity: Attributes | None = None
        self._crs: CRS | None = None
        self._held: NDArray[Any] | None = None
        """All shapes of a small file."""

    def covers(self, grid: GeoBox) -> bool:
        """Whether the layer is complete over a grid: where it is not, no line near says nothing."""
        return self.spec.is_complete_over(_degrees(grid))

    def near(self, grid: GeoBox, *, reach_m: float) -> Lines:
        """Lines, and outlines of areas, with a segment whose box comes within `reach_m` of the grid's box.

        Coordinates are x, y in the CRS of the grid. No line near is an empty list.

        Raises:
            InvalidInput: the file is not there, is no vector file, or has no CRS.
            SourceUnavailable: its host did not answer, or it does not cover the grid: an empty place is no answer then.
        """
        if not self.covers(grid):
            raise SourceUnavailable(
                f"layer {self.name}: {self.spec.href}: covers {list(self.spec.covers)} only, "
                f"not {tuple(_degrees(grid))}"
            )
        crs = self._opened()
        to_grid = Transformer.from_crs(crs, str(grid.crs), always_xy=True)
        search = Bounds(*grid.boundingbox.buffered(reach_m).bbox)
        shapes = np.concatenate([self._shapes(box) for box in _boxes(grid, crs, reach_m)])
        return [run for line in _as_lines(shapes) for run in _runs_near(_projected(line, to_grid), search)]

    @property
    def identity(self) -> Attributes:
        """What identifies the file. Raises as `near`."""
        self._opened()
        return dict(self._identity or {})

    def lineage(self) -> Attributes:
        """What was read, with licence and identity. Raises as `near`."""
        return self.spec.described() | {"files": {self.spec.href: self.identity}}

    def _opened(self) -> CRS:
        """The CRS; identity and CRS are asked for once, and a small file is read."""
        with self._lock:
            if self._crs is None:
                self._identity = identify(self.spec.href, timeout_s=self.timeout_s)
                if self._identity is None:
                    raise InvalidInput(f"layer {self.name}: {self.spec.href}: no such file")
                self._crs = self._described()
        return self._crs

    def _described(self) -> CRS:
        pyogrio.set_gdal_config_options(gdal_options(self.timeout_s))
        try:
            info = pyogrio.read_info(gdal_path(self.spec.href), force_feature_count=True)
            if info["crs"] is None:
                raise InvalidInput(
                    f"layer {self.name}: {self.spec.href}: expected a vector file with a CRS, found none"
                )
            if info["features"] <= HELD_FEATURES:
                self._held = _read(self.spec.href, None)
        except (DataSourceError, DataLayerError) as error:
            raise self._failure(error) from error
        return CRS.from_user_input(info["crs"])

    def _shapes(self, box: Bounds) -> NDArray[Any]:
        """Shapes whose bounds touch a box in the CRS of the file."""
        if self._held is not None:
            west, south, east, north = shapely.bounds(self._held).T
            near = (west <= box.east) & (east >= box.west) & (south <= box.north) & (north >= box.south)
            return np.asarray(self._held[near])
        try:
            return _read(self.spec.href, box)
        except (DataSourceError, DataLayerError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> InvalidInput | SourceUnavailable:
        kind = SourceUnavailable if is_remote(self.spec.href) else InvalidInput
        return kind(f"layer {self.name}: {self.spec.href}: cannot be read as vectors: {error}")


def read_lines(
    name: str, spec: SourceSpec, grid: GeoBox, *, reach_m: float, timeout_s: float = 30.0
) -> tuple[Lines, Attributes]:
    """Lines near one grid, and what identifies the file. Arguments and errors as those of `LineLayer.near`."""
    layer = LineLayer(name, spec, timeout_s=timeout_s)
    return layer.near(grid, reach_m=reach_m), layer.identity


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


def _degrees(grid: GeoBox) -> Bounds:
    """The grid's box in longitude and latitude."""
    return Bounds(*Transformer.from_crs(str(grid.crs), 4326, always_xy=True).transform_bounds(*grid.boundingbox.bbox))


def _read(href: str, box: Bounds | None) -> NDArray[Any]:
    """Shapes of the file, those near a box where one is given."""
    bbox = None if box is None else tuple(box)
    _, _, geometry, _ = pyogrio.raw.read(gdal_path(href), bbox=bbox, columns=[], force_2d=True)
    shapes = shapely.from_wkb(geometry)
    return np.asarray(shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))])


def _as_lines(shapes: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Coordinates of all lines and outlines, in the CRS of the file."""
    areas = np.isin(shapely.get_type_id(shapes), (3, 6))
    shapes = np.where(areas, shapely.boundary(shapes), shapes)
    parts = shapely.get_parts(shapes)
    return [shapely.get_coordinates(part) for part in parts[shapely.get_dimensions(parts) == 1]]


def _projected(line: NDArray[np.float64], to_grid: Transformer) -> NDArray[np.float64]:
    """The line in the CRS of the grid; vertices that have no place there are left out."""
    moved = np.column_stack(to_grid.transform(line[:, 0], line[:, 1]))
    return np.asarray(moved[np.isfinite(moved).all(axis=1)])


def _runs_near(line: NDArray[np.float64], box: Bounds) -> Iterator[NDArray[np.float64]]:
    """Runs of consecutive segments whose bounds touch the box, each segment as it is."""
    low, high = np.minimum(line[:-1], line[1:]), np.maximum(line[:-1], line[1:])
    near = (low <= (box.east, box.north)).all(axis=1) & (high >= (box.west, box.south)).all(axis=1)
    starts = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(np.int8)))
    for first, end in zip(starts[::2], starts[1::2], strict=True):
        yield line[first : end + 1]
