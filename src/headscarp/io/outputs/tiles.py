"""Raster PMTiles (v3) of a COG of values or codes: 256-pixel palette PNG in web mercator, and their TileJSON.

Each pixel shows the highest class found beneath it. The deepest zoom level is the one whose pixels come
nearest to the raster's own; it is sampled twice as densely as it is drawn, so that every source pixel is met,
and every lower level takes the maximum of four pixels: a single hot pixel is still there when one looks at
the whole event. Averages, which keep areas true instead, are in the COG's overviews.

Memory: one block of 8 x 8 tiles with the source under it, and the finished PNG files.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from pyproj import Transformer
from rasterio.windows import Window as RasterWindow

from headscarp.core.grid import Bounds
from headscarp.core.palette import ColourScheme, Palette
from headscarp.core.types import Attributes, Codes
from headscarp.io.outputs.cog import CACHE_MB
from headscarp.io.outputs.geography import flat_bounds, unwrapped_bounds

TILE = 256
BLOCK_LEVELS = 3
"""A block is 2**3 tiles wide, so that its own upper levels are made while it is in memory."""
STEP = 16
"""Pixels between exact transformations; between them coordinates are interpolated (error < 0.01 px)."""
HALF_WORLD_M = math.pi * 6378137.0
ATTRIBUTION = "headscarp, CC BY 4.0; ShakeMap: USGS"


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Which tiles cover a grid."""

    minzoom: int
    maxzoom: int
    bounds: Bounds
    """Degrees; east passes 180 where the grid crosses the antimeridian."""

    @classmethod
    def of(cls, grid: GeoBox) -> Pyramid:
        """From about one tile for all of the grid to the level nearest to its own resolution."""
        bounds = unwrapped_bounds(grid)
        across_equator = bounds.south < 0.0 < bounds.north
        nearest_equator = 0.0 if across_equator else min(abs(bounds.south), abs(bounds.north))
        pixel = abs(grid.transform.a) / math.cos(math.radians(nearest_equator))
        deepest = max(0, round(math.log2(2 * HALF_WORLD_M / TILE / pixel)))
        west, south, east, north = _mercator(bounds)
        widest = max(east - west, north - south)
        shallowest = max(0, math.floor(math.log2(2 * HALF_WORLD_M / widest)))
        return cls(min(shallowest, deepest), deepest, bounds)

    @property
    def block_levels(self) -> int:
        """How many levels above the deepest one a block holds."""
        return min(BLOCK_LEVELS, self.maxzoom - self.minzoom)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Column and row, at zoom `maxzoom - block_levels`, of the tiles that hold the grid; columns unwrapped."""
        west, south, east, north = _mercator(self.bounds)
        size = 2 * HALF_WORLD_M / 2 ** (self.maxzoom - self.block_levels)
        columns = range(math.floor((west + HALF_WORLD_M) / size), math.ceil((east + HALF_WORLD_M) / size))
        rows = range(math.floor((HALF_WORLD_M - north) / size), math.ceil((HALF_WORLD_M - south) / size))
        return ((x, y) for y in rows for x in columns)


def write_pmtiles(
    raster: Path, target: Path, *, palette: ColourScheme, grid: GeoBox, title: str, threads: int = 2
) -> Pyramid:
    """Draw a COG as PMTiles; tiles without a coloured pixel are left out. Equal input gives equal bytes.

    Args:
        raster: Raster on `grid`, of what the palette classifies.
        target: The archive.
        palette: Classes and colours.
        grid: Grid of the raster.
        title: Name in the archive's metadata.
        threads: PNG encoders.

    Returns:
        The zoom levels and bounds drawn.
    """
    pyramid = Pyramid.of(grid)
    encoder = _Encoder(palette)
    with (
        ThreadPoolExecutor(threads) as pool,
        rasterio.Env(GDAL_CACHEMAX=CACHE_MB),
        rasterio.open(raster, NUM_THREADS=threads) as source,
    ):
        pending: dict[int, Future[bytes]] = {}
        tops: dict[tuple[int, int], Codes] = {}
        for x, y in pyramid.blocks():
            codes = _block(source, grid, palette=palette, pyramid=pyramid, x=x, y=y)
            if codes is None or not codes.any():
                continue
            levels = _levels(codes, pyramid)
            for tile, part in _cut(levels, pyramid, x, y):
                pending[tile] = pool.submit(encoder.png, part)
            tops[x, y] = levels[-1]
        for tile, part in _upward(tops, pyramid):
            pending[tile] = pool.submit(encoder.png, part)
        tiles = {tile: future.result() for tile, future in pending.items()}
    # An archive without tiles cannot be read: a map with nothing to show has one transparent tile.
    tiles = tiles or {zxy_to_tileid(*_centre_tile(pyramid)): encoder.png(np.zeros((TILE, TILE), np.uint8))}
    _write_archive(target, tiles, pyramid, palette, title)
    return pyramid


def tilejson(pyramid: Pyramid, *, url: str, title: str, palette: Palette) -> Attributes:
    """TileJSON 3.0.0 of an archive at an absolute HTTP address, as clients with the pmtiles protocol read it."""
    bounds = flat_bounds(pyramid.bounds)
    longitude, latitude = _centre(pyramid)
    return {
        "tilejson": "3.0.0",
        "name": title,
        "description": "Each pixel shows the highest class beneath it; averages are in the COG's overviews.",
        "version": "1.0.0",
        "attribution": ATTRIBUTION,
        "scheme": "xyz",
        "tiles": [f"pmtiles://{url}/{{z}}/{{x}}/{{y}}"],
        "minzoom": pyramid.minzoom,
        "maxzoom": pyramid.maxzoom,
        "bounds": [round(v, 6) for v in bounds],
        "center": [round(longitude, 6), round(latitude, 6), pyramid.minzoom],
        "legend": palette.legend_text(),
    }


class _Encoder:
    """Class codes to palette PNG with one fixed palette."""

    def __init__(self, palette: ColourScheme) -> None:
        self.colours = palette.table[:, :3].tobytes()
        self.opacities = palette.table[:, 3].tobytes()
        self.bits = 4 if len(palette.table) <= 16 else 8

    def png(self, codes: Codes) -> bytes:
        image = Image.fromarray(codes, mode="P")
        image.putpalette(self.colours)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", transparency=self.opacities, bits=self.bits, compress_level=1)
        return buffer.getvalue()


def _mercator(bounds: Bounds) -> Bounds:
    """Degrees to web mercator metres; longitudes past 180 stay past the edge of the world."""

    def northing(latitude: float) -> float:
        limited = math.radians(max(-85.051128, min(85.051128, latitude)))
        return math.asinh(math.tan(limited)) / math.pi * HALF_WORLD_M

    west, east = (x / 180.0 * HALF_WORLD_M for x in (bounds.west, bounds.east))
    return Bounds(west, northing(bounds.south), east, northing(bounds.north))


def _block(
    source: rasterio.DatasetReader, grid: GeoBox, *, palette: ColourScheme, pyramid: Pyramid, x: int, y: int
) -> Codes | None:
    """Highest class beneath each pixel of one block at the deepest level; None where the grid has no pixels."""
    width = TILE * 2**pyramid.block_levels
    size = 2 * HALF_WORLD_M / 2 ** (pyramid.maxzoom - pyramid.block_levels)
    knots = np.arange(0, width + 1, STEP) / width
    easting, northing = np.meshgrid((x + knots) * size - HALF_WORLD_M, HALF_WORLD_M - (y + knots) * size)
    to_grid = Transformer.from_crs("EPSG:3857", str(grid.crs), always_xy=True)
    columns, rows = ~grid.transform @ to_grid.transform(easting, northing)
    if not (np.isfinite(columns).all() and np.isfinite(rows).all()):
        return None
    top, bottom = max(0, math.floor(rows.min())), min(source.height, math.ceil(rows.max()) + 1)
    left, right = max(0, math.floor(columns.min())), min(source.width, math.ceil(columns.max()) + 1)
    if top >= bottom or left >= right:
        return None
    window = RasterWindow(left, top, right - left, bottom - top)
    return _sample(palette.classes(source.read(1, window=window)), rows - top, columns - left, width)


@numba.njit(nogil=True, cache=True)
def _sample(
    codes: NDArray[np.uint8], rows: NDArray[np.float64], columns: NDArray[np.float64], width: int
) -> NDArray[np.uint8]:  # pragma: no cover - compiled
    """Maximum of a 2 x 2 sampling of `codes` in each of width x width pixels; 0 outside."""
    out = np.zeros((width, width), np.uint8)
    height, breadth = codes.shape
    for line in range(2 * width):
        v = (line + 0.5) / (2 * STEP)
        j = int(v)
        v -= j
        for i in range(rows.shape[1] - 1):
            row = rows[j, i] * (1 - v) + rows[j + 1, i] * v
            column = columns[j, i] * (1 - v) + columns[j + 1, i] * v
            row_step = (rows[j, i + 1] * (1 - v) + rows[j + 1, i + 1] * v - row) / (2 * STEP)
            column_step = (columns[j, i + 1] * (1 - v) + columns[j + 1, i + 1] * v - column) / (2 * STEP)
            for k in range(2 * STEP):
                r = math.floor(row + (k + 0.5) * row_step)
                c = math.floor(column + (k + 0.5) * column_step)
                if 0 <= r < height and 0 <= c < breadth:
                    out[line // 2, i * STEP + k // 2] = max(out[line // 2, i * STEP + k // 2], codes[r, c])
    return out


def _halved(codes: Codes) -> Codes:
    """Maximum of each 2 x 2 pixels."""
    lines = np.maximum(codes[::2], codes[1::2])
    return np.maximum(lines[:, ::2], lines[:, 1::2])


def _levels(codes: Codes, pyramid: Pyramid) -> list[Codes]:
    """A block at the deepest level and at each level up to the one where it is a single tile."""
    levels = [codes]
    for _ in range(pyramid.block_levels):
        levels.append(_halved(levels[-1]))
    return levels


def _cut(levels: list[Codes], pyramid: Pyramid, x: int, y: int) -> Iterator[tuple[int, Codes]]:
    """Tile ids and codes of a block's coloured tiles."""
    for up, level in enumerate(levels):
        across = level.shape[0] // TILE
        for j, i in np.ndindex(across, across):
            part = level[j * TILE : (j + 1) * TILE, i * TILE : (i + 1) * TILE]
            if part.any():
                yield _tile_id(pyramid.maxzoom - up, x * across + i, y * across + j), np.ascontiguousarray(part)


def _upward(tops: dict[tuple[int, int], Codes], pyramid: Pyramid) -> Iterator[tuple[int, Codes]]:
    """Tiles of the levels above the blocks, down to `minzoom`."""
    for zoom in range(pyramid.maxzoom - pyramid.block_levels - 1, pyramid.minzoom - 1, -1):
        parents: dict[tuple[int, int], Codes] = {}
        for (x, y), codes in tops.items():
            parent = parents.setdefault((x // 2, y // 2), np.zeros((TILE, TILE), np.uint8))
            half = TILE // 2
            parent[y % 2 * half : (y % 2 + 1) * half, x % 2 * half : (x % 2 + 1) * half] = _halved(codes)
        yield from ((_tile_id(zoom, x, y), codes) for (x, y), codes in parents.items())
        tops = parents


def _tile_id(zoom: int, x: int, y: int) -> int:
    return int(zxy_to_tileid(zoom, x % 2**zoom, y))


def _centre(pyramid: Pyramid) -> tuple[float, float]:
    """Longitude, within the bounds as they are published, and latitude."""
    west, south, east, north = pyramid.bounds
    return ((west + east) / 2 + 180.0) % 360.0 - 180.0, (south + north) / 2


def _centre_tile(pyramid: Pyramid) -> tuple[int, int, int]:
    west, south, east, north = _mercator(pyramid.bounds)
    size = 2 * HALF_WORLD_M / 2**pyramid.minzoom
    x, y = (HALF_WORLD_M + (west + east) / 2) // size, (HALF_WORLD_M - (south + north) / 2) // size
    return pyramid.minzoom, int(x) % 2**pyramid.minzoom, int(y)


def _write_archive(target: Path, tiles: dict[int, bytes], pyramid: Pyramid, palette: ColourScheme, title: str) -> None:
    bounds, (longitude, latitude) = flat_bounds(pyramid.bounds), _centre(pyramid)
    header = {
        "tile_type": TileType.PNG,
        "tile_compression": Compression.NONE,
        **{f"{name}_e7": round(value * 1e7) for name, value in _corners(bounds).items()},
        "center_zoom": pyramid.minzoom,
        "center_lon_e7": round(longitude * 1e7),
        "center_lat_e7": round(latitude * 1e7),
    }
    metadata = {
        "name": title,
        "type": "overlay",
        "attribution": ATTRIBUTION,
        "downsampling": palette.downsampling,
        "legend": palette.legend(),
    }
    with target.open("wb") as file:
        writer: Any = Writer(file)  # type: ignore[no-untyped-call]
        for tile in sorted(tiles):
            writer.write_tile(tile, tiles[tile])
        writer.finalize(header, metadata)


def _corners(bounds: Bounds) -> dict[str, float]:
    return {"min_lon": bounds.west, "min_lat": bounds.south, "max_lon": bounds.east, "max_lat": bounds.north}
