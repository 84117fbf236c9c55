"""The zone lattice: one grid for a whole UTM zone, cut into blocks whose place never depends on an event.

Pixel edges lie at multiples of the pixel size from easting 0 and northing 0. A zone's lattice reaches
past the zone's own six degrees, and past the equator, as far as events near its edge do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry, box, polygon
from pyproj import Transformer

from headscarp.core.grid import PIXEL_M, Bounds
from headscarp.core.tiling import YX, Window

BLOCK = 2048
"""Pixels along the side of a block, which is one shard of every array."""
_TOP_BLOCKS, _LEFT_BLOCKS = 184, 16
"""Blocks of 2048 pixels north of northing 0, and west of easting 0."""
_ROWS, _COLUMNS = 204, 48
_KEY = re.compile(r"(\d+)_(\d+)")
_ZONE_DEGREES = 6
_OUTLINE_POINTS = 65
"""Along each side of a box, whose meridians and parallels are curves on the lattice."""


class BlockIndex(NamedTuple):
    """Row and column of a block, counted from the north-west corner of the lattice."""

    row: int
    column: int

    @property
    def key(self) -> str:
        """`<row>_<column>`, as in the names of objects."""
        return f"{self.row}_{self.column}"

    @classmethod
    def parse(cls, key: str) -> BlockIndex:
        """The index with this key. ValueError if it is none."""
        found = _KEY.fullmatch(key)
        if found is None:
            raise ValueError(f"expected a block as ROW_COLUMN, found {key!r}")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class ZoneLattice:
    """The lattice of one UTM zone.

    Raises:
        ValueError: the EPSG code is no UTM zone of WGS 84, or blocks do not tile the lattice.
    """

    epsg: int
    block: int = BLOCK
    """Pixels along the side of a block; a divisor of 2048."""

    def __post_init__(self) -> None:
        """Refuse what is no zone."""
        if self.epsg // 100 not in {326, 327} or not 1 <= self.epsg % 100 <= 60:
            raise ValueError(f"expected a UTM zone of WGS 84 (EPSG 32601-32660, 32701-32760), found EPSG {self.epsg}")
        if self.block < 1 or BLOCK % self.block:
            raise ValueError(f"expected blocks that divide {BLOCK} pixels, found {self.block}")

    @classmethod
    def under(cls, grid: GeoBox, *, block: int = BLOCK) -> ZoneLattice:
        """The lattice an event grid is part of.

        Raises:
            ValueError: the grid is not part of a zone's lattice.
        """
        epsg = grid.crs.to_epsg() if grid.crs is not None else None
        lattice = cls(epsg or 0, block)
        lattice.offset(grid)
        return lattice

    @property
    def crs(self) -> str:
        """As `EPSG:<code>`."""
        return f"EPSG:{self.epsg}"

    @property
    def is_northern(self) -> bool:
        """Whether northings count from the equator."""
        return self.epsg // 100 == 326

    @property
    def west_degrees(self) -> int:
        """Longitude where the zone itself begins."""
        return (self.epsg % 100 - 1) * _ZONE_DEGREES - 180

    @property
    def shape(self) -> YX:
        """Pixels in all."""
        return YX(_ROWS * BLOCK, _COLUMNS * BLOCK)

    @property
    def transform(self) -> Affine:
        """Pixel corners to easting and northing."""
        return Affine(PIXEL_M, 0.0, -_LEFT_BLOCKS * BLOCK * PIXEL_M, 0.0, -PIXEL_M, _TOP_BLOCKS * BLOCK * PIXEL_M)

    @cached_property
    def whole(self) -> GeoBox:
        """The grid of the whole lattice."""
        return GeoBox(wh_(self.shape.x, self.shape.y), self.transform, self.crs)

    def geobox(self, window: Window) -> GeoBox:
        """The grid of a window of the lattice."""
        transform = self.transform * Affine.translation(window.x, window.y)
        return GeoBox(wh_(window.width, window.height), transform, self.crs)

    def window(self, index: BlockIndex) -> Window:
        """The pixels of a block."""
        return Window(index.row * self.block, index.column * self.block, self.block, self.block)

    def offset(self, grid: GeoBox) -> YX:
        """Row and column of the grid's first pixel on the lattice.

        Raises:
            ValueError: another CRS or pixel size, pixels that do not coincide, or ground beyond the lattice.
        """
        a, b, c, d, e, f = tuple(grid.transform)[:6]
        if str(grid.crs) != self.crs or (a, b, d, e) != (PIXEL_M, 0.0, 0.0, -PIXEL_M):
            raise ValueError(
                f"expected a north-up grid of {PIXEL_M:g} m pixels in {self.crs}, found {grid.crs}, {grid.transform!r}"
            )
        x, y = ~self.transform * (c, f)
        at = YX(round(y), round(x))
        if abs(x - at.x) > 1e-6 or abs(y - at.y) > 1e-6:
            raise ValueError(f"expected pixel edges at multiples of {PIXEL_M:g} m, found an origin of {c}, {f}")
        if min(at) < 0 or at.y + grid.shape.y > self.shape.y or at.x + grid.shape.x > self.shape.x:
            raise ValueError(f"expected a grid inside the lattice of {self.crs}, found bounds {grid.boundingbox.bbox}")
        return at

    def blocks_over(self, window: Window) -> Iterator[BlockIndex]:
        """Blocks that a window of the lattice touches, row by row."""
        for row in range(window.y // self.block, (window.y + window.height - 1) // self.block + 1):
            for column in range(window.x // self.block, (window.x + window.width - 1) // self.block + 1):
                yield BlockIndex(row, column)

    def blocks_under(self, grid: GeoBox) -> tuple[BlockIndex, ...]:
        """Blocks that an event grid touches, row by row. Raises ValueError as `offset`."""
        at = self.offset(grid)
        return tuple(self.blocks_over(Window(at.y, at.x, *grid.shape)))

    def part(self, index: BlockIndex, within: Window) -> Window:
        """The pixels of a block that lie in another window of the lattice."""
        mine = self.window(index)
        top, left = max(mine.y, within.y), max(mine.x, within.x)
        bottom = min(mine.y + mine.height, within.y + within.height)
        right = min(mine.x + mine.width, within.x + within.width)
        return Window(top, left, max(bottom - top, 0), max(right - left, 0))


def blocks_in(boxes: Sequence[Bounds], *, block: int = BLOCK) -> dict[ZoneLattice, tuple[BlockIndex, ...]]:
    """Blocks that boxes of longitude and latitude touch, by zone; each zone keeps to its own six degrees.

    A box whose east is west of its west crosses the antimeridian.

    Raises:
        ValueError: latitudes out of order or outside -80 to 84, where UTM ends, or longitudes outside -180 to 360.
    """
    found: dict[ZoneLattice, set[BlockIndex]] = {}
    for part in (piece for each in boxes for piece in _pieces(_checked(each))):
        lattice = ZoneLattice(_zone_of(part), block)
        found.setdefault(lattice, set()).update(_touched(lattice, part))
    return {lattice: tuple(sorted(found[lattice])) for lattice in sorted(found, key=lambda zone: zone.epsg)}


def _checked(bounds: Bounds) -> Bounds:
    """The box with its longitudes in order, the first of them in [-180, 180)."""
    west, south, east, north = bounds
    if not (-80.0 <= south < north <= 84.0):
        raise ValueError(f"expected south < north between -80 and 84 degrees, found {south} and {north}")
    if not all(-180.0 <= value <= 360.0 for value in (west, east)) or west == east:
        raise ValueError(f"expected west and east between -180 and 360 degrees, found {west} and {east}")
    width = (east - west) % 360.0 or 360.0
    start = (west + 180.0) % 360.0 - 180.0
    return Bounds(start, south, start + width, north)


def _pieces(bounds: Bounds) -> Iterator[Bounds]:
    """The box cut at zone borders and at the equator."""
    first, last = math.floor(bounds.west / _ZONE_DEGREES), math.ceil(bounds.east / _ZONE_DEGREES)
    for zone in range(first, last):
        west, east = max(bounds.west, zone * _ZONE_DEGREES), min(bounds.east, (zone + 1) * _ZONE_DEGREES)
        for south, north in ((bounds.south, min(bounds.north, 0.0)), (max(bounds.south, 0.0), bounds.north)):
            if south < north:
                yield Bounds(west, south, east, north)


def _zone_of(piece: Bounds) -> int:
    """EPSG code of the zone that holds a piece."""
    number = math.floor(((piece.west + piece.east) / 2.0 + 180.0) / _ZONE_DEGREES) % 60 + 1
    return (32600 if piece.north > 0.0 else 32700) + number


def _touched(lattice: ZoneLattice, piece: Bounds) -> Iterator[BlockIndex]:
    """Blocks that share ground with a piece."""
    outline = _outline(lattice, piece)
    columns, rows = ~lattice.transform * np.array(outline.exterior.coords).T
    top, left = math.floor(rows.min()), math.floor(columns.min())
    around = Window(top, left, math.ceil(rows.max()) - top, math.ceil(columns.max()) - left)
    for index in lattice.blocks_over(around.clipped(lattice.shape)):
        if outline.intersects(box(*lattice.geobox(lattice.window(index)).boundingbox.bbox, lattice.crs)):
            yield index


def _outline(lattice: ZoneLattice, piece: Bounds) -> Geometry:
    """A piece of the zone on the lattice."""
    along, across = np.linspace(piece.west, piece.east, _OUTLINE_POINTS), np.linspace(piece.south, piece.north, 65)
    sides = (
        (along, np.full_like(along, piece.south)),
        (np.full_like(across, piece.east), across),
        (along[::-1], np.full_like(along, piece.north)),
        (np.full_like(across, piece.west), across[::-1]),
    )
    longitude, latitude = (np.concatenate(values) for values in zip(*sides, strict=True))
    easting, northing = Transformer.from_crs(4326, lattice.crs, always_xy=True).transform(longitude, latitude)
    return polygon(list(zip(easting.tolist(), northing.tolist(), strict=True)), lattice.crs)
