"""Raster layers read onto any window of an event grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TypeVar

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.session import DummySession
from rasterio.windows import Window as RasterWindow

from headscarp.core.types import Attributes, Codes, Raster
from headscarp.core.warp import Patch, Positions, mosaic, on_lattice, project, sample, sample_codes
from headscarp.errors import BadRaster, SourceUnavailable
from headscarp.io.inputs.bands import (
    HIGHEST_M,
    check_dataset,
    constant_elevation,
    read_codes,
    read_elevation,
    read_values,
)
from headscarp.io.inputs.origin import gdal_options, gdal_path, identify, is_remote
from headscarp.io.inputs.placed import Piece, bridged, first_known, north_up, positions_on, source_window
from headscarp.io.inputs.spec import SourceSpec
from headscarp.io.inputs.voids import fill_small_voids, flatten_sea

__all__ = ["RasterLayer", "fill_small_voids", "gdal_env"]

_TILE_OVERLAP = 0.001
"""Degrees by which an absent tile overlaps its neighbours, whose pixels may begin half a pixel off the degree."""
_WGS84 = CRS.from_epsg(4326)

T = TypeVar("T")
Read = Callable[[SourceSpec, DatasetReader, RasterWindow], np.ndarray]


def gdal_env(*, timeout_s: float = 30.0) -> rasterio.Env:
    """The GDAL settings under which sources are read; enter it in every thread that reads."""
    # GDAL finds the credentials itself; a session of rasterio's own would be made anew for every read.
    return rasterio.Env(DummySession(), **gdal_options(timeout_s))


class RasterLayer:
    """One layer of the source registry, a file or tiles; safe to read from several threads.

    What a pixel gets does not depend on the window it is read with.
    """

    def __init__(self, name: str, spec: SourceSpec, *, timeout_s: float = 30.0) -> None:
        self.name, self.spec, self.timeout_s = name, spec, timeout_s
        self._identities: dict[str, Attributes | None] = {}
        self._ranks: dict[str, int] = {}
        self._suspect: set[str] = set()
        self._lock = Lock()

    def apart(self) -> RasterLayer:
        """The same layer with a lineage of its own; what identifies its files is asked for once by both."""
        other = RasterLayer(self.name, self.spec, timeout_s=self.timeout_s)
        other._identities, other._lock = self._identities, self._lock
        return other

    def check(self) -> None:
        """Open the file once; tiles are found only where they are needed.

        Raises:
            BadRaster: it is not there, has no CRS, or is not what the registry says.
            SourceUnavailable: its host did not answer.
        """
        if self.spec.kind == "raster":
            with gdal_env(timeout_s=self.timeout_s), self._dataset(*self._present()):
                pass

    def check_terrain(self) -> None:
        """As `check`, for elevations.

        Raises:
            BadRaster: also where they are the same all over a file, or in a unit that is no length.
            SourceUnavailable: as `check`.
        """
        self.check()
        if self.spec.kind != "raster":
            return
        rank, href = self._present()
        with gdal_env(timeout_s=self.timeout_s), self._dataset(rank, href) as dataset:
            constant = self._guarded(href, lambda: constant_elevation(self.spec.chain[rank], dataset))
        if constant is not None:
            raise BadRaster(f"layer {self.name}: {href}: expected terrain, found {constant:g} m everywhere")

    def continuous(self, grid: GeoBox, resampling: str) -> Raster:
        """(y, x) float32 values on `grid`; NaN where the source has none.

        Raises:
            BadRaster, SourceUnavailable: as `check`, or the file is cut off.
        """
        pieces = self._pieces(grid, read_values, np.nan)
        return first_known((sample(p.patch, p.at, resampling) for p in pieces), grid)

    def codes(self, grid: GeoBox, resampling: str) -> Codes:
        """(y, x) uint8 class codes on `grid`; 0 where unknown. Raises as `continuous`."""
        found = (sample_codes(piece.patch, piece.at, resampling) for piece in self._pieces(grid, read_codes, 0))
        out = next(found, None)
        if out is None:
            return np.zeros((grid.shape.y, grid.shape.x), np.uint8)
        for codes in found:
            np.copyto(out, codes, where=out == 0)
        return out

    def elevation(self, grid: GeoBox, resampling: str) -> tuple[Raster, Raster]:
        """Elevation in metres with the sea at 0, and land (1) or sea (0); NaN in voids wider than 5 source pixels.

        The sea is flattened before interpolation, so that no slope of the sea floor reaches the coast.
        Raises as `continuous`.
        """
        elevations, lands = [], []
        for patch, at in self._pieces(grid, read_elevation, np.nan):
            flat, ground = flatten_sea(fill_small_voids(patch.values), self.spec.sea)
            self._suspect_feet(flat)
            elevations.append(sample(replace(patch, values=flat), at, resampling))
            lands.append(sample(replace(patch, values=ground), at, "nearest"))
        elevation, land = first_known(iter(elevations), grid), first_known(iter(lands), grid)
        elevation[land == 0] = 0.0
        return elevation, land

    def lineage(self) -> Attributes:
        """What was read, with licence and identity, for the cube's attributes.

        `files` are those of the layer itself, `fallback` says of each fallback that was read what it is and its
        files, `suspect` what about the values should be looked at.
        """
        with self._lock:
            read = [self._files(rank) for rank in range(len(self.spec.chain))]
            suspect = sorted(self._suspect)
        told = self.spec.described() | {"files": read[0]}
        fallback = [
            spec.described() | {"files": files}
            for spec, files in zip(self.spec.fallback, read[1:], strict=True)
            if files
        ]
        return told | ({"fallback": fallback} if fallback else {}) | ({"suspect": suspect} if suspect else {})

    def _files(self, rank: int) -> Attributes:
        """Identity by address of the files of one specification of the chain."""
        asked = (href for href, of in sorted(self._ranks.items()) if of == rank and href in self._identities)
        return {href: self._identities[href] or "absent" for href in asked}

    def _suspect_feet(self, elevation: Raster) -> None:
        with np.errstate(invalid="ignore"):
            if (elevation > HIGHEST_M).any():
                with self._lock:
                    self._suspect.add(f"elevations above {HIGHEST_M:g} m: if the file is in feet, state `unit: ft`")

    def _pieces(self, grid: GeoBox, read: Read, fill: float) -> Iterator[Piece]:
        """Source windows that cover `grid`, the preferred ones first."""
        with gdal_env(timeout_s=self.timeout_s):
            if self.spec.kind == "tiles":
                yield from self._tiles(grid, read, fill)
            else:
                yield from self._file(grid, read)

    def _file(self, grid: GeoBox, read: Read) -> Iterator[Piece]:
        rank, href = self._present()
        with self._dataset(rank, href) as dataset:
            for at in positions_on(grid, CRS.from_user_input(dataset.crs)):
                window = source_window(dataset, at)
                if window is not None:
                    values = self._read(rank, href, dataset, window, read)
                    yield Piece(north_up(values, dataset, window), at)

    def _present(self) -> tuple[int, str]:
        """The first file of the chain that is there; the first of all if none is."""
        hrefs = [spec.href for spec in self.spec.chain]
        return next(((n, h) for n, h in enumerate(hrefs) if self._identity(n, h) is not None), (0, hrefs[0]))

    def _tiles(self, grid: GeoBox, read: Read, fill: float) -> Iterator[Piece]:
        """Tiles of the layer, then of its fallbacks where a tile is absent, then what absence itself means."""
        at = project(grid, _WGS84)
        corners = self._corners(at)
        joined: list[Patch] = []
        for rank in range(len(self.spec.chain)):
            present = [c for c in corners if self._identity(rank, self._tile(rank, c)) is not None]
            patches = [patch for corner in present for patch in self._tile_patch(rank, corner, at, read)]
            joined += [bridged(patch, joined, fill) if rank else patch for patch in mosaic(patches, fill)]
            corners = [c for c in corners if c not in present]
        absent = [patch for corner in corners for patch in self._absent_tile(*corner)]
        yield from (Piece(patch, at) for patch in (*joined, *absent))

    def _tile(self, rank: int, corner: tuple[int, int]) -> str:
        return self.spec.chain[rank].tile_href(*corner)

    def _tile_patch(self, rank: int, corner: tuple[int, int], at: Positions, read: Read) -> Iterator[Patch]:
        """The part of a tile that the positions need, if any."""
        href = self._tile(rank, corner)
        with self._dataset(rank, href) as dataset:
            turn = (corner[0] + 180) // 360 * 360.0
            window = source_window(dataset, at.shifted(-turn))
            if window is not None:
                patch = north_up(self._read(rank, href, dataset, window, read), dataset, window)
                corner_at = patch.lattice * Affine.translation(patch.column, patch.row)
                yield on_lattice(patch.values, Affine.translation(turn, 0) * corner_at)

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

    def _identity(self, rank: int, href: str) -> Attributes | None:
        """Asked once per file and run."""
        with self._lock:
            self._ranks.setdefault(href, rank)
            if href in self._identities:
                return self._identities[href]
        found = identify(href, timeout_s=self.timeout_s)
        with self._lock:
            return self._identities.setdefault(href, found)

    @contextmanager
    def _dataset(self, rank: int, href: str) -> Iterator[DatasetReader]:
        """The open, checked file."""
        if self._identity(rank, href) is None:
            raise BadRaster(f"layer {self.name}: {href}: no such file")
        try:
            dataset = rasterio.open(gdal_path(href))
        except RasterioError as error:
            raise self._failure(href, "cannot be opened as a raster", error) from error
        with dataset:
            check_dataset(dataset, self.spec.chain[rank], f"layer {self.name}: {href}")
            yield dataset

    def _failure(self, href: str, what: str, error: Exception) -> BadRaster | SourceUnavailable:
        kind = SourceUnavailable if is_remote(href) else BadRaster
        return kind(f"layer {self.name}: {href}: {what}: {error}")

    def _read(self, rank: int, href: str, dataset: DatasetReader, window: RasterWindow, read: Read) -> np.ndarray:
        return self._guarded(href, lambda: read(self.spec.chain[rank], dataset, window))

    def _guarded(self, href: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except RasterioError as error:
            raise self._failure(href, "cut off or damaged", error) from error
