"""Sampling of a source lattice at the pixel centres of a target grid.

Target pixel centres are projected at nodes 16 pixels apart and interpolated linearly in between
(millimetres on a 30 m UTM grid). The nodes are anchored at the origin of the target CRS, so a
pixel gets the same value whichever block it is read with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from affine import Affine
from numba import njit
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from headscarp.core.tiling import YX
from headscarp.core.types import Codes, Raster

NODE_PIXELS: Final = 16
_SNAP = 1e-6
"""Positions this close to a source pixel centre, in pixels, are on it."""
_NEAREST, _BILINEAR, _CUBIC, _AVERAGE = range(4)
_METHODS = {"nearest": _NEAREST, "bilinear": _BILINEAR, "cubic": _CUBIC, "average": _AVERAGE}

Piece = tuple[NDArray[Any], Affine]
"""(y, x) values and the transform from pixel corners to source coordinates."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Source coordinates of a coarse lattice of nodes that covers a target grid."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    first: tuple[float, float]
    """Where the first target pixel centre (row, column) lies, in nodes."""
    shape: YX

    def pixels(self, transform: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rows and columns of the nodes on a source lattice; 0 is the centre of its first pixel."""
        columns, rows = ~transform * (self.x, self.y)
        return rows - 0.5, columns - 0.5

    def shifted(self, dx: float) -> Positions:
        """The same positions `dx` further east, for lattices that count longitude otherwise."""
        return Positions(self.x + dx, self.y, self.first, self.shape)


def project(grid: GeoBox, crs: CRS) -> Positions:
    """Positions of the pixel centres of `grid` in `crs`.

    Longitudes run on past 180 degrees instead of jumping.

    Raises:
        ValueError: the grid is rotated.
    """
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    if b or d or a <= 0 or e >= 0:
        raise ValueError(f"grid: expected a north-up grid, found {grid.transform!r}")
    first_x, x = _axis(c, a, grid.shape.x)
    first_y, y = _axis(-f, -e, grid.shape.y)
    mesh_x, mesh_y = np.meshgrid(x, -y)
    to_source = Transformer.from_crs(str(grid.crs), crs, always_xy=True)
    sx, sy = to_source.transform(mesh_x, mesh_y)
    if crs.is_geographic:
        middle = sx[sx.shape[0] // 2, sx.shape[1] // 2]
        sx = middle + (sx - middle + 180.0) % 360.0 - 180.0
    return Positions(sx, sy, (first_y, first_x), YX(grid.shape.y, grid.shape.x))


def _axis(origin: float, pixel: float, count: int) -> tuple[float, NDArray[np.float64]]:
    """Position of the first pixel centre in nodes, and the coordinates of the nodes that cover the axis."""
    step = NODE_PIXELS * pixel
    low = (origin + 0.5 * pixel) / step
    first = math.floor(low)
    last = math.floor(low + (count - 1) / NODE_PIXELS) + 1
    return low - first, np.arange(first, last + 1) * step


def sample(source: Raster, transform: Affine, at: Positions, resampling: str, *, reach: float = 0.5) -> Raster:
    """Values of a continuous source at `at`; NaN where the nearest source pixel is NaN or too far.

    `bilinear` and `cubic` (Keys 1981, doi:10.1109/TASSP.1981.1163711, a = -1/2) keep their width whatever
    the two resolutions are; missing neighbours are left out and the weights of the others rescaled.
    `average` is the mean of the source pixels inside the target pixel, and `bilinear` where the source is coarser.

    Args:
        source: (y, x) values, NaN where missing.
        transform: pixel corners of the source to its coordinates.
        at: where to sample.
        resampling: nearest, bilinear, cubic or average.
        reach: how far outside the outermost pixel centres the nearest value still holds, in source pixels.
    """
    rows, columns = at.pixels(transform)
    half = _half_footprint(rows, columns)
    method = _METHODS[resampling]
    if method == _AVERAGE and max(half) <= 0.5:
        method = _BILINEAR
    out = np.empty(at.shape, np.float32)
    values = np.ascontiguousarray(source, dtype=np.float32)
    _sample(method, values, rows, columns, at.first[0], at.first[1], reach, half[0], half[1], out)
    return out


def sample_codes(source: Codes, transform: Affine, at: Positions, resampling: str) -> Codes:
    """Class codes at `at`, 0 where unknown.

    `mode` takes the most frequent known code of the source pixels inside the target pixel (the
    smallest of equals), and 0 where more than half of them are unknown; it is `nearest` where the source is coarser.
    """
    rows, columns = at.pixels(transform)
    half = _half_footprint(rows, columns)
    by_mode = {"nearest": False, "mode": True}[resampling] and max(half) > 0.5
    out = np.empty(at.shape, np.uint8)
    values = np.ascontiguousarray(source)
    _sample_codes(by_mode, values, rows, columns, at.first[0], at.first[1], half[0], half[1], out)
    return out


def interpolate(field: Raster, grid: GeoBox, at: Positions, *, ln: bool) -> Raster:
    """Ground motion of a coarse grid at `at`: bilinear, in ln space for peaks and velocities.

    Equal to the field at the centres of its cells. Outside the outermost centres the nearest value
    holds for one cell; NaN beyond. A cell of zero makes zero of what lies between it and its neighbours.
    """
    with np.errstate(divide="ignore"):
        values = np.log(field) if ln else field
    reach = 1.0
    for shift in (0.0, 360.0, -360.0) if grid.crs is not None and grid.crs.geographic else (0.0,):
        positions = at.shifted(shift)
        out = sample(values, grid.transform, positions, "bilinear", reach=reach)
        if np.isfinite(out).any():
            break
    return np.exp(out, out=out) if ln else out


def mosaic(pieces: Sequence[Piece], fill: float) -> list[Piece]:
    """Pieces of equal lattice joined, so that interpolation crosses their seams; others stay apart.

    Where pieces overlap, the first one with a value wins.
    """
    groups: list[list[Piece]] = []
    for piece in pieces:
        fitting = (g for g in groups if _same_lattice(g[0][1], piece[1]))
        group = next(fitting, None)
        if group is None:
            groups.append([piece])
        else:
            group.append(piece)
    return [group[0] if len(group) == 1 else _join(group, fill) for group in groups]


def _same_lattice(one: Affine, other: Affine) -> bool:
    if not np.allclose(one[0:2] + one[3:5], other[0:2] + other[3:5], rtol=1e-9, atol=0):
        return False
    column, row = ~one * (other.c, other.f)
    return abs(column - round(column)) < 1e-2 and abs(row - round(row)) < 1e-2


def _join(group: list[Piece], fill: float) -> Piece:
    """One array over the union of the pieces."""
    base = group[0][1]
    corners = [tuple(round(v) for v in ~base * (t.c, t.f)) for _, t in group]
    left, top = min(c for c, _ in corners), min(r for _, r in corners)
    right = max(c + v.shape[1] for (v, _), (c, _) in zip(group, corners, strict=True))
    bottom = max(r + v.shape[0] for (v, _), (_, r) in zip(group, corners, strict=True))
    joined = np.full((bottom - top, right - left), fill, dtype=group[0][0].dtype)
    for (values, _), (column, row) in zip(reversed(group), reversed(corners), strict=True):
        part = joined[row - top : row - top + values.shape[0], column - left : column - left + values.shape[1]]
        known = ~np.isnan(values) if values.dtype.kind == "f" else values != fill
        np.copyto(part, values, where=known)
    return joined, base * Affine.translation(left, top)


def _half_footprint(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> tuple[float, float]:
    """Half the size of a target pixel in source rows and columns."""
    return tuple(
        float(np.hypot(np.diff(v, axis=0).mean(), np.diff(v, axis=1).mean())) / (2 * NODE_PIXELS)
        for v in (rows, columns)
    )  # type: ignore[return-value]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _between(nodes, k, t, m, s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Linear interpolation between four nodes."""
    upper = (1.0 - s) * nodes[k, m] + s * nodes[k, m + 1]
    lower = (1.0 - s) * nodes[k + 1, m] + s * nodes[k + 1, m + 1]
    return (1.0 - t) * upper + t * lower


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _split(position):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whole and fractional part, on the pixel centre where it is within `_SNAP`."""
    whole = int(position)
    part = position - whole
    if part > 1.0 - _SNAP:
        return whole + 1, 0.0
    return whole, 0.0 if part < _SNAP else part


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _bilinear_at(source, r, c):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Weighted mean of up to four neighbours that have a value."""
    r0, fr = _split(r)
    c0, fc = _split(c)
    total = 0.0
    weights = 0.0
    for i in range(2 if fr > 0.0 else 1):
        for j in range(2 if fc > 0.0 else 1):
            value = source[r0 + i, c0 + j]
            if not np.isnan(value):
                weight = (fr if i else 1.0 - fr) * (fc if j else 1.0 - fc)
                total += weight * value
                weights += weight
    return total / weights


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _keys(t, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Keys' four weights for a fraction t."""
    out[0] = ((-0.5 * t + 1.0) * t - 0.5) * t
    out[1] = (1.5 * t - 2.5) * t * t + 1.0
    out[2] = ((-1.5 * t + 2.0) * t + 0.5) * t
    out[3] = (0.5 * t - 0.5) * t * t


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _cubic_at(source, r, c, wr, wc):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Cubic convolution; bilinear where one of the sixteen neighbours is missing."""
    r0, fr = _split(r)
    c0, fc = _split(c)
    if r0 < 1 or c0 < 1 or r0 + 2 >= source.shape[0] or c0 + 2 >= source.shape[1]:
        return _bilinear_at(source, r, c)
    _keys(fr, wr)
    _keys(fc, wc)
    total = 0.0
    for i in range(4):
        for j in range(4):
            total += wr[i] * wc[j] * source[r0 - 1 + i, c0 - 1 + j]
    return _bilinear_at(source, r, c) if np.isnan(total) else total


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _span(centre, half, size):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """First and past-the-last pixel whose centre lies in [centre - half, centre + half)."""
    low = max(0, int(np.ceil(centre - half - _SNAP)))
    high = min(size, int(np.ceil(centre + half - _SNAP)))
    return low, high


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _average_at(source, r, c, half_r, half_c):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Mean of the values inside the footprint."""
    r0, r1 = _span(r, half_r, source.shape[0])
    c0, c1 = _span(c, half_c, source.shape[1])
    total = 0.0
    count = 0
    for i in range(r0, r1):
        for j in range(c0, c1):
            if not np.isnan(source[i, j]):
                total += source[i, j]
                count += 1
    return total / count if count else np.nan


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _sample(method, source, rows, columns, v0, u0, reach, half_r, half_c, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Fill `out` with continuous values."""
    height, width = source.shape
    wr = np.empty(4)
    wc = np.empty(4)
    limit = reach + _SNAP
    for i in range(out.shape[0]):
        k, t = _split(v0 + i / NODE_PIXELS)
        for j in range(out.shape[1]):
            m, s = _split(u0 + j / NODE_PIXELS)
            r = _between(rows, k, t, m, s)
            c = _between(columns, k, t, m, s)
            out[i, j] = np.nan
            if not (-limit <= r <= height - 1 + limit and -limit <= c <= width - 1 + limit):
                continue
            r = min(max(r, 0.0), height - 1.0)
            c = min(max(c, 0.0), width - 1.0)
            nearest = source[int(r + 0.5), int(c + 0.5)]
            if method == _AVERAGE:
                out[i, j] = _average_at(source, r, c, half_r, half_c)
            elif np.isnan(nearest):
                continue
            elif method == _NEAREST:
                out[i, j] = nearest
            elif method == _BILINEAR:
                out[i, j] = _bilinear_at(source, r, c)
            else:
                out[i, j] = _cubic_at(source, r, c, wr, wc)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _mode_at(source, r, c, half_r, half_c, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Most frequent known code inside the footprint."""
    r0, r1 = _span(r, half_r, source.shape[0])
    c0, c1 = _span(c, half_c, source.shape[1])
    counts[:] = 0
    for i in range(r0, r1):
        for j in range(c0, c1):
            counts[source[i, j]] += 1
    pixels = (r1 - r0) * (c1 - c0)
    if pixels == 0 or 2 * counts[0] > pixels:
        return 0
    return 1 + np.argmax(counts[1:])


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _sample_codes(by_mode, source, rows, columns, v0, u0, half_r, half_c, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Fill `out` with class codes."""
    height, width = source.shape
    counts = np.zeros(256, np.int64)
    limit = 0.5 + _SNAP
    for i in range(out.shape[0]):
        k, t = _split(v0 + i / NODE_PIXELS)
        for j in range(out.shape[1]):
            m, s = _split(u0 + j / NODE_PIXELS)
            r = _between(rows, k, t, m, s)
            c = _between(columns, k, t, m, s)
            out[i, j] = 0
            if not (-limit <= r <= height - 1 + limit and -limit <= c <= width - 1 + limit):
                continue
            if by_mode:
                out[i, j] = _mode_at(source, r, c, half_r, half_c, counts)
            else:
                out[i, j] = source[int(min(max(r, 0.0), height - 1.0) + 0.5), int(min(max(c, 0.0), width - 1.0) + 0.5)]
