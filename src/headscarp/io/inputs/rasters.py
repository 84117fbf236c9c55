"""Raster layers read onto any window of an event grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.errors import RasterioError
from rasterio.fill import fillnodata
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow
from scipy.ndimage import maximum_filter, minimum_filter

from headscarp.core.types import Attributes, Codes, Mask, Raster
from headscarp.core.warp import Patch, Positions, mosaic, on_lattice, project, sample, sample_codes
from headscarp.errors import BadRaster, SourceUnavailable
from headscarp.io.inputs.origin import gdal_options, gdal_path, identify, is_remote
from headscarp.io.inputs.sources import SourceSpec

VOID_PX = 5
"""DEM voids up to this wide are filled."""
_MARGIN_PX = 12
"""Source pixels read around a window: two void widths, and the widest resampling kernel."""
_TILE_OVERLAP = 0.001
"""Degrees by which an absent tile overlaps its neighbours, whose pixels may begin half a pixel off the degree."""
_WGS84 = CRS.from_epsg(4326)

Convert = Callable[[DatasetReader, RasterWindow], np.ndarray]


def gdal_env(*, timeout_s: float = 30.0) -> rasterio.Env:
    """The GDAL settings under which sources are read; enter it in every thread that reads."""
    return rasterio.Env(**gdal_options(timeout_s))


class RasterLayer:
    """One layer of the source registry, a file or tiles; safe to read from several threads.

    What a pixel gets does not depend on the window it is read with.
    """

    def __init__(self, name: str, spec: SourceSpec, *, timeout_s: float = 30.0) -> None:
        self.name, self.spec, self.timeout_s = name, spec, timeout_s
        self._identities: dict[str, Attributes | None] = {}
        self._lock = Lock()

    def check(self) -> None:
        """Open the file once; tiles are found only where they are needed.

        Raises:
            BadRaster: it is not there, has no CRS, or is not what the registry says.
            SourceUnavailable: its host did not answer.
        """
        if self.spec.kind == "raster":
            with gdal_env(timeout_s=self.timeout_s), self._dataset(self.spec.href):
                pass

    def continuous(self, grid: GeoBox, resampling: str) -> Raster:
        """(y, x) float32 values on `grid`; NaN where the source has none.

        Raises:
            BadRaster, SourceUnavailable: as `check`, or the file is cut off.
        """
        pieces = self._pieces(grid, self._values, np.nan)
        return _first_known((sample(patch, at, resampling) for patch, at in pieces), grid)

    def codes(self, grid: GeoBox, resampling: str) -> Codes:
        """(y, x) uint8 class codes on `grid`; 0 where unknown. Raises as `continuous`."""
        out = np.zeros((grid.shape.y, grid.shape.x), np.uint8)
        for patch, at in self._pieces(grid, self._codes, 0):
            found = sample_codes(patch, at, resampling)
            np.copyto(out, found, where=out == 0)
        return out

    def elevation(self, grid: GeoBox, resampling: str) -> tuple[Raster, Raster]:
        """Elevation with the sea at 0, and land (1) or sea (0); NaN in voids wider than 5 source pixels.

        The sea is flattened before interpolation, so that no slope of the sea floor reaches the coast.
        Raises as `continuous`.
        """
        elevations, lands = [], []
        for patch, at in self._pieces(grid, self._values, np.nan):
            flat, ground = _flatten_sea(fill_small_voids(patch.values), self.spec.sea)
            elevations.append(sample(replace(patch, values=flat), at, resampling))
            lands.append(sample(replace(patch, values=ground), at, "nearest"))
        elevation, land = _first_known(iter(elevations), grid), _first_known(iter(lands), grid)
        elevation[land == 0] = 0.0
        return elevation, land

    def lineage(self) -> Attributes:
        """What was read, with licence and identity, for the cube's attributes."""
        kept = {"kind", "href", "band", "scheme", "licence", "attribution", "epoch", "resolution", "note"}
        with self._lock:
            files = {href: found or "absent" for href, found in sorted(self._identities.items())}
        return self.spec.model_dump(include=kept, exclude_none=True) | {"files": files}

    def _pieces(self, grid: GeoBox, convert: Convert, fill: float) -> Iterator[tuple[Patch, Positions]]:
        """Source windows that cover `grid`, with the positions to sample them at."""
        with gdal_env(timeout_s=self.timeout_s):
            if self.spec.kind == "tiles":
                yield from self._tiles(grid, convert, fill)
            else:
                yield from self._file(grid, convert)

    def _file(self, grid: GeoBox, convert: Convert) -> Iterator[tuple[Patch, Positions]]:
        with self._dataset(self.spec.href) as dataset:
            crs = CRS.from_user_input(dataset.crs)
            at = project(grid, crs)
            for turn in (0.0, 360.0, -360.0) if crs.is_geographic else (0.0,):
                turned = at.shifted(turn)
                window = _window(dataset, turned)
                if window is not None:
                    values = self._read(dataset, window, convert, self.spec.href)
                    yield Patch(values, dataset.transform, window.row_off, window.col_off), turned

    def _tiles(self, grid: GeoBox, convert: Convert, fill: float) -> Iterator[tuple[Patch, Positions]]:
        at = project(grid, _WGS84)
        patches: list[Patch] = []
        absent: list[Patch] = []
        for x, y in self._corners(at):
            href = self.spec.tile_href(x, y)
            if self._identity(href) is None:
                absent += self._absent_tile(x, y)
                continue
            with self._dataset(href) as dataset:
                turn = (x + 180) // 360 * 360.0
                window = _window(dataset, at.shifted(-turn))
                if window is not None:
                    values = self._read(dataset, window, convert, href)
                    patches.append(on_lattice(values, Affine.translation(turn, 0) * dataset.window_transform(window)))
        for patch in (*mosaic(patches, fill), *absent):
            yield patch, at

    def _corners(self, at: Positions) -> list[tuple[int, int]]:
        """Tiles under the grid, and those that its margin may touch."""
        reach = 0.01
        return self.spec.tiles_over(at.x.min() - reach, at.y.min() - reach, at.x.max() + reach, at.y.max() + reach)

    def _absent_tile(self, x: int, y: int) -> list[Patch]:
        """One pixel of sea over the tile, nothing where its absence says nothing."""
        size = self.spec.tile_degrees
        east = (x + 180) % 360 - 180
        withheld = any(w < east + size and east < e and s < y + size and y < n for w, s, e, n in self.spec.withheld)
        if self.spec.absent_tile == "unknown" or withheld:
            return []
        sea = self.spec.sea if self.spec.sea is not None else 0.0
        side = size + 2 * _TILE_OVERLAP
        box = Affine(side, 0, x - _TILE_OVERLAP, 0, -side, y + size + _TILE_OVERLAP)
        return [Patch(np.full((1, 1), sea, np.float32), box)]

    def _identity(self, href: str) -> Attributes | None:
        """Asked once per file and run."""
        with self._lock:
            if href in self._identities:
                return self._identities[href]
        found = identify(href, timeout_s=self.timeout_s)
        with self._lock:
            return self._identities.setdefault(href, found)

    @contextmanager
    def _dataset(self, href: str) -> Iterator[DatasetReader]:
        """The open, checked file."""
        if self._identity(href) is None:
            raise BadRaster(f"layer {self.name}: {href}: no such file")
        try:
            dataset = rasterio.open(gdal_path(href))
        except RasterioError as error:
            raise self._failure(href, "cannot be opened as a raster", error) from error
        with dataset:
            self._check(dataset, href)
            yield dataset

    def _check(self, dataset: DatasetReader, href: str) -> None:
        wanted = max(self.spec.band, self.spec.minus_band or 1)
        if dataset.crs is None or dataset.transform.is_identity:
            raise BadRaster(f"layer {self.name}: {href}: expected a georeferenced raster, found no CRS or transform")
        if dataset.count < wanted:
            raise BadRaster(f"layer {self.name}: {href}: expected band {wanted}, found {dataset.count} band(s)")
        if self.spec.kind == "tiles" and not dataset.crs.is_geographic:
            raise BadRaster(f"layer {self.name}: {href}: expected a tile in degrees, found {dataset.crs}")

    def _failure(self, href: str, what: str, error: Exception) -> BadRaster | SourceUnavailable:
        kind = SourceUnavailable if is_remote(href) else BadRaster
        return kind(f"layer {self.name}: {href}: {what}: {error}")

    def _read(self, dataset: DatasetReader, window: RasterWindow, convert: Convert, href: str) -> np.ndarray:
        try:
            return convert(dataset, window)
        except RasterioError as error:
            raise self._failure(href, "cut off or damaged", error) from error

    def _values(self, dataset: DatasetReader, window: RasterWindow) -> Raster:
        """Physical values of a window, NaN where missing."""
        values = self._band(dataset, window, self.spec.band)
        if self.spec.minus_band is None:
            return values
        other = self._band(dataset, window, self.spec.minus_band)
        total = values + other
        total[total <= 0] = np.nan
        return np.asarray((values - other) / total, dtype=np.float32)

    def _band(self, dataset: DatasetReader, window: RasterWindow, band: int) -> Raster:
        stored = dataset.read(band, window=window, masked=True)
        values = stored.astype(np.float32).filled(np.nan)
        if self.spec.nodata is not None:
            values[values == np.float32(self.spec.nodata)] = np.nan
        scale = self.spec.scale if self.spec.scale is not None else dataset.scales[band - 1]
        offset = self.spec.offset if self.spec.offset is not None else dataset.offsets[band - 1]
        return values if (scale, offset) == (1.0, 0.0) else np.asarray(values * scale + offset, dtype=np.float32)

    def _codes(self, dataset: DatasetReader, window: RasterWindow) -> Codes:
        """Class codes of a window; what is no whole number from 1 to 255 is unknown."""
        stored = dataset.read(self.spec.band, window=window, masked=True)
        unknown = np.ma.getmaskarray(stored) | (False if self.spec.nodata is None else stored.data == self.spec.nodata)
        shifted = stored.data.astype(np.float32) + np.float32(self.spec.offset or 0)
        unknown |= ~((shifted >= 1) & (shifted <= 255) & (shifted == np.floor(shifted)))
        return np.where(unknown, 0, shifted).astype(np.uint8)


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


def _flatten_sea(values: Raster, sea: float | None) -> tuple[Raster, Raster]:
    """Elevation with the sea at 0, and land as 1, 0 or NaN."""
    unknown = np.isnan(values)
    if sea is None:
        return values, np.where(unknown, np.nan, 1.0).astype(np.float32)
    land = np.where(unknown, np.nan, values > sea).astype(np.float32)
    return np.where(land == 0, 0.0, values).astype(np.float32), land


def _window(dataset: DatasetReader, at: Positions) -> RasterWindow | None:
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


def _first_known(rasters: Iterator[Raster], grid: GeoBox) -> Raster:
    """Pixel by pixel the first value that is not NaN."""
    out = np.full((grid.shape.y, grid.shape.x), np.nan, np.float32)
    for raster in rasters:
        np.copyto(out, raster, where=np.isnan(out))
    return out
