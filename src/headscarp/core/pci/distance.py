"""Exact distances from pixel centres: to marked pixels, and to polylines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from headscarp.core.pci.compiled import compiled
from headscarp.core.pci.pixels import PixelSize, pixel_size
from headscarp.core.types import Mask, Raster

_COARSE, _FINE = 256, 16
_ROUNDING_M = 1e-6
Segments = NDArray[np.float64]
"""(n, 4): x, y of one end and of the other."""


def distance_to_mask(mask: Mask, pixel: PixelSize, *, limit_m: float) -> Raster:
    """Metres from pixel centre to the nearest true pixel's centre, at most `limit_m`.

    Exact Euclidean transform in two passes, Felzenszwalb and Huttenlocher (2012),
    https://doi.org/10.4086/toc.2012.v008a019.
    """
    out = np.empty(mask.shape, dtype=np.float32)
    rows, columns = mask.shape
    pixels_along_columns(mask, 0, columns, out)
    distances_along_rows(pixel.y, pixel.x, limit_m, 0, rows, out)
    return out


def distance_to_lines(lines: Sequence[NDArray[np.float64]], grid: GeoBox, *, limit_m: float) -> Raster:
    """Metres from pixel centre to the nearest point of any polyline, at most `limit_m`.

    Lines are (n, 2) arrays of x, y in the CRS of the grid and may lie outside it: every line
    within `limit_m` counts, so the result is exact on any block without a halo.

    Raises:
        ValueError: a vertex is not finite.
    """
    pixel = pixel_size(grid)
    shape = (int(grid.shape[0]), int(grid.shape[1]))
    out = np.full(shape, limit_m, dtype=np.float32)
    if lines:
        origin = (float(grid.transform.c), float(grid.transform.f))
        _tile_by_tile(_segments(lines), origin, (pixel.y, pixel.x), limit_m, out)
    return out


def _segments(lines: Sequence[NDArray[np.float64]]) -> Segments:
    """All segments; a line of a single vertex is a segment of no length."""
    paths = [np.asarray(line, dtype=np.float64) for line in lines]
    for number, path in enumerate(paths):
        if not np.isfinite(path).all():
            raise ValueError(f"expected finite vertices, found NaN or infinity in polyline {number}")
    paths = [np.repeat(path, 2, axis=0) if len(path) == 1 else path for path in paths]
    return np.concatenate([np.hstack([path[:-1], path[1:]]) for path in paths])


@compiled
def pixels_along_columns(mask: Mask, first: int, last: int, out: Raster) -> None:
    """First pass, over columns `first` to `last`: pixels to the nearest true one of the same column, or infinity."""
    rows = mask.shape[0]
    for x in range(first, last):
        out[0, x] = 0.0 if mask[0, x] else np.inf
    for y in range(1, rows):
        for x in range(first, last):
            out[y, x] = 0.0 if mask[y, x] else out[y - 1, x] + np.float32(1.0)
    for y in range(rows - 2, -1, -1):
        for x in range(first, last):
            out[y, x] = min(out[y, x], out[y + 1, x] + np.float32(1.0))


@compiled
def distances_along_rows(height: float, width: float, limit: float, first: int, last: int, out: Raster) -> None:
    """Second pass, over rows `first` to `last`: pixels along columns become metres."""
    columns = out.shape[1]
    squared, envelope = np.empty(columns), np.empty((2, columns + 1))
    for y in range(first, last):
        for x in range(columns):
            metres = np.float64(out[y, x]) * height
            squared[x] = metres * metres if metres <= limit else np.inf
        _row_distance(squared, width, limit, envelope, out[y])


@compiled
def _row_distance(
    squared: NDArray[np.float64],
    width: float,
    limit: float,
    envelope: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Lower envelope of the parabolas that stand on the squared distances along columns."""
    seats, starts = envelope
    top = -1
    for x in range(squared.size):
        if squared[x] == np.inf:
            continue
        start = -np.inf
        while top >= 0:
            seat = seats[top]
            lift = (squared[x] - squared[int(seat)]) / (width * width)
            start = (lift + x * x - seat * seat) / (2.0 * (x - seat))
            if start > starts[top]:
                break
            top -= 1
            start = -np.inf
        top += 1
        seats[top], starts[top] = x, start
    if top < 0:
        out[:] = limit
        return
    starts[top + 1] = np.inf
    k = 0
    for x in range(squared.size):
        while starts[k + 1] < x:
            k += 1
        out[x] = min(np.sqrt(((x - seats[k]) * width) ** 2 + squared[int(seats[k])]), limit)


@compiled
def _tile_by_tile(
    segments: Segments, origin: tuple[float, float], pixel: tuple[float, float], limit: float, out: Raster
) -> None:
    """Segments that cannot be nearest to any pixel of a tile are left out, twice over."""
    rows, columns = out.shape
    for top in range(0, rows, _COARSE):
        for left in range(0, columns, _COARSE):
            height, width = min(_COARSE, rows - top), min(_COARSE, columns - left)
            near = _nearest_to_tile(segments, origin, pixel, (top, left, height, width), limit)
            for y in range(top, top + height, _FINE):
                for x in range(left, left + width, _FINE):
                    tile = (y, x, min(_FINE, top + height - y), min(_FINE, left + width - x))
                    nearest = _nearest_to_tile(near, origin, pixel, tile, limit)
                    _within_tile(nearest, origin, pixel, tile, out)


@compiled
def _nearest_to_tile(
    segments: Segments,
    origin: tuple[float, float],
    pixel: tuple[float, float],
    tile: tuple[int, int, int, int],
    limit: float,
) -> Segments:
    """Segments that some point of the tile may have as its nearest within the limit.

    A point within `reach` of the tile's centre has a segment at the centre's least distance plus
    `reach`, and none closer than a segment's distance from the centre minus `reach`.
    """
    y, x, height, width = tile
    centre_x = origin[0] + (x + 0.5 * width) * pixel[1]
    centre_y = origin[1] - (y + 0.5 * height) * pixel[0]
    reach = 0.5 * np.hypot(height * pixel[0], width * pixel[1]) + _ROUNDING_M
    distances = np.empty(segments.shape[0])
    for k in range(segments.shape[0]):
        distances[k] = np.sqrt(_squared_distance(segments[k], centre_x, centre_y))
    least = distances.min() if distances.size else 0.0
    near: Segments = segments[distances <= min(least + 2.0 * reach, limit + reach)]
    return near


@compiled
def _within_tile(
    segments: Segments,
    origin: tuple[float, float],
    pixel: tuple[float, float],
    tile: tuple[int, int, int, int],
    out: Raster,
) -> None:
    """Lower the tile's pixels, which hold the limit, to the nearest of the segments left."""
    top, left, height, width = tile
    for y in range(top, top + height):
        centre_y = origin[1] - (y + 0.5) * pixel[0]
        for x in range(left, left + width):
            centre_x = origin[0] + (x + 0.5) * pixel[1]
            nearest = np.inf
            for k in range(segments.shape[0]):
                nearest = min(nearest, _squared_distance(segments[k], centre_x, centre_y))
            out[y, x] = min(np.float64(out[y, x]), np.sqrt(nearest))


@compiled
def _squared_distance(segment: NDArray[np.float64], x: float, y: float) -> float:
    """Squared distance from a point to a segment."""
    along_x, along_y = segment[2] - segment[0], segment[3] - segment[1]
    to_x, to_y = x - segment[0], y - segment[1]
    length = along_x * along_x + along_y * along_y
    share = (to_x * along_x + to_y * along_y) / length if length > 0.0 else 0.0
    share = min(max(share, 0.0), 1.0)
    off_x, off_y = to_x - share * along_x, to_y - share * along_y
    squared: float = off_x * off_x + off_y * off_y
    return squared
