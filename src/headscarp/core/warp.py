"""Sampling of a source lattice at the pixel centres of a target grid.

Target pixel centres are projected at nodes 16 pixels apart and interpolated linearly in between
(millimetres on a 30 m UTM grid). The nodes are anchored at the origin of the target CRS, so a
pixel gets the same value whichever block it is read with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from headscarp.core.resample import AVERAGE, BILINEAR, CUBIC, NEAREST, NODE_PIXELS, Nodes, fill_codes, fill_continuous
from headscarp.core.tiling import YX
from headscarp.core.types import Codes, Raster

_METHODS = {"nearest": NEAREST, "bilinear": BILINEAR, "cubic": CUBIC, "average": AVERAGE}


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle of source pixels on their lattice."""

    values: NDArray[Any]
    """(y, x)"""
    lattice: Affine
    """Corners of the lattice's pixels to source coordinates; the same for all patches of a source."""
    row: int = 0
    """Row of the first pixel on the lattice."""
    column: int = 0


@dataclass(frozen=True, slots=True)
class Positions:
    """Source coordinates of a coarse lattice of nodes that covers a target grid."""

    x: Nodes
    y: Nodes
    first: tuple[float, float]
    """Where the first target pixel centre (row, column) lies, in target pixels from the first node."""
    shape: YX

    def pixels(self, lattice: Affine) -> tuple[Nodes, Nodes]:
        """Rows and columns of the nodes on a source lattice; 0 is the centre of its first pixel."""
        columns, rows = ~lattice * (self.x, self.y)
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
        sx = sx + 360.0 * np.round((middle - sx) / 360.0)
    return Positions(sx, sy, (first_y, first_x), YX(grid.shape.y, grid.shape.x))


def _axis(origin: float, pixel: float, count: int) -> tuple[float, Nodes]:
    """Pixels from the first node to the first pixel centre, and the coordinates of the nodes that cover the axis.

    Rounded to a millionth of a pixel, so that all windows of a grid agree on where its lattice is.
    """
    low = round((origin / pixel + 0.5) * 2**20) / 2**20
    first = math.floor(low / NODE_PIXELS)
    last = math.floor((low + count - 1) / NODE_PIXELS) + 2
    return low - first * NODE_PIXELS, np.arange(first, last + 1, dtype=np.float64) * (NODE_PIXELS * pixel)


def sample(source: Patch, at: Positions, resampling: str, *, reach: float = 0.5) -> Raster:
    """Values of a continuous source at `at`; NaN where the nearest source pixel is NaN or too far.

    `bilinear` and `cubic` (Keys 1981, doi:10.1109/TASSP.1981.1163711, a = -1/2) keep their width whatever
    the two resolutions are; missing neighbours are left out and the weights of the others rescaled.
    `average` is the mean of the source pixels inside the target pixel, and `bilinear` where the source is coarser.

    Args:
        source: float values, NaN where missing.
        at: where to sample.
        resampling: nearest, bilinear, cubic or average.
        reach: how far outside the outermost pixel centres the nearest value still holds, in source pixels.
    """
    out = np.empty(at.shape, np.float32)
    values = np.ascontiguousarray(source.values, dtype=np.float32)
    rows, columns = at.pixels(source.lattice)
    fill_continuous(_METHODS[resampling], values, (source.row, source.column), rows, columns, at.first, reach, out)
    return out


def sample_codes(source: Patch, at: Positions, resampling: str) -> Codes:
    """Class codes at `at`, 0 where unknown.

    `mode` takes the most frequent known code of the source pixels inside the target pixel (the
    smallest of equals), and 0 where more than half of them are unknown; it is `nearest` where the source is coarser.
    """
    out = np.empty(at.shape, np.uint8)
    values = np.ascontiguousarray(source.values, dtype=np.uint8)
    rows, columns = at.pixels(source.lattice)
    by_mode = {"nearest": False, "mode": True}[resampling]
    fill_codes(by_mode, values, (source.row, source.column), rows, columns, at.first, out)
    return out


def interpolate(field: Raster, grid: GeoBox, at: Positions, *, ln: bool) -> Raster:
    """Ground motion of a coarse grid at `at`: bilinear, in ln space for peaks and velocities.

    Equal to the field at the centres of its cells. Outside the outermost centres the nearest value
    holds for one cell; NaN beyond. A cell of zero makes zero of what lies between it and its neighbours.
    """
    with np.errstate(divide="ignore"):
        patch = Patch(np.log(field) if ln else field, grid.transform)
    turns = (0.0, 360.0, -360.0) if grid.crs is not None and grid.crs.geographic else (0.0,)
    for turn in turns:
        out = sample(patch, at.shifted(turn), "bilinear", reach=1.0)
        if np.isfinite(out).any():
            break
    return np.exp(out, out=out) if ln else out


def on_lattice(values: NDArray[Any], transform: Affine) -> Patch:
    """A patch on the lattice that all tiles of this resolution share, whichever tile comes first."""
    a, _, c, _, e, f = tuple(transform)[:6]
    column, row = c / a, f / e
    phase_x, phase_y = round(column % 1.0, 4) % 1.0, round(row % 1.0, 4) % 1.0
    lattice = Affine(a, 0.0, phase_x * a, 0.0, e, phase_y * e)
    return Patch(values, lattice, round(row - phase_y), round(column - phase_x))


def mosaic(patches: Sequence[Patch], fill: float) -> list[Patch]:
    """Patches of equal lattice joined, so that interpolation crosses their seams; others stay apart.

    Where patches overlap, the first one with a value wins.
    """
    groups: dict[Affine, list[Patch]] = {}
    for patch in patches:
        groups.setdefault(patch.lattice, []).append(patch)
    return [group[0] if len(group) == 1 else _join(group, fill) for group in groups.values()]


def _join(group: list[Patch], fill: float) -> Patch:
    """One patch over the union."""
    top, left = min(p.row for p in group), min(p.column for p in group)
    bottom = max(p.row + p.values.shape[0] for p in group)
    right = max(p.column + p.values.shape[1] for p in group)
    joined = np.full((bottom - top, right - left), fill, dtype=group[0].values.dtype)
    for patch in reversed(group):
        height, width = patch.values.shape
        y, x = patch.row - top, patch.column - left
        known = ~np.isnan(patch.values) if patch.values.dtype.kind == "f" else patch.values != fill
        np.copyto(joined[y : y + height, x : x + width], patch.values, where=known)
    return Patch(joined, group[0].lattice, top, left)
