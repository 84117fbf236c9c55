"""Horn's differences, with missing neighbours mirrored through the centre.

A plane keeps its gradient along voids and edges; where both of two opposite axis neighbours are
missing the gradient is NaN. Loops over rows have no negative offsets and keep to float32: so the
compiler makes wide instructions of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import Real, compiled
from headscarp.core.types import Raster

Row = NDArray[np.float32]


class Around(NamedTuple):
    """The elevations around a pixel."""

    n: Real
    s: Real
    e: Real
    w: Real
    ne: Real
    sw: Real
    nw: Real
    se: Real


@compiled
def horn(at: Around, per_x: Real, per_y: Real) -> tuple[Real, Real]:
    """dz/dx (east) and dz/dy (north), given 1 / 8 of the reciprocals of the pixel's sides.

    Horn (1981), https://doi.org/10.1109/PROC.1981.11918.
    """
    diagonal, anti, east, north = at.ne - at.sw, at.se - at.nw, at.e - at.w, at.n - at.s
    return ((diagonal + anti) + (east + east)) * per_x, ((diagonal - anti) + (north + north)) * per_y


@compiled
def gradient_row(z: Raster, y: int, per_x: Real, per_y: Real, east: Row, north: Row) -> None:
    """Write the gradient of row `y` into two rows; NaN in both where the elevation is missing."""
    missing = False
    if 0 < y < z.shape[0] - 1:
        missing = _inner_gradients(z[y - 1], z[y], z[y + 1], per_x, per_y, east, north)
    for x in gaps(z, y, east, missing):
        east[x], north[x] = horn(around(z, y, x), per_x, per_y)


@compiled
def _inner_gradients(up: Row, here: Row, down: Row, per_x: Real, per_y: Real, east: Row, north: Row) -> bool:
    """Whether any elevation is missing: `east` is NaN where one of the nine is."""
    missing = False
    for x in range(here.size - 2):
        at = Around(up[x + 1], down[x + 1], here[x + 2], here[x], up[x + 2], down[x], up[x], down[x + 2])
        p, q = horn(at, per_x, per_y)
        void = (here[x + 1] - here[x + 1]) + (q - q) + (p - p)
        north[x + 1] = q
        east[x + 1] = p + void
        missing |= np.isnan(void)
    return missing


@compiled
def gaps(z: Raster, y: int, found: Row, missing: bool) -> NDArray[np.int64]:  # noqa: FBT001
    """Columns of row `y` without their nine elevations: the edges and, if any is missing, where `found` is NaN."""
    last = z.shape[1] - 1
    outer = y == 0 or y == z.shape[0] - 1
    places, count = np.empty(last + 1 if outer or missing else min(2, last + 1), dtype=np.int64), 0
    for x in range(last + 1) if outer or missing else range(0, last + 1, max(last, 1)):
        if outer or x in (0, last) or np.isnan(found[x]):
            places[count] = x
            count += 1
    return places[:count]


@compiled
def around(z: Raster, y: int, x: int) -> Around:
    """The eight neighbours, those that are missing taken from a plane through the others; NaN around NaN."""
    centre = np.float64(z[y, x])
    n, s = _opposite(z, y, x, -1, 0)
    e, w = _opposite(z, y, x, 0, 1)
    ne, sw = _opposite(z, y, x, -1, 1)
    nw, se = _opposite(z, y, x, -1, -1)
    if np.isnan(ne):
        ne, sw = n + e - centre, s + w - centre
    if np.isnan(nw):
        nw, se = n + w - centre, s + e - centre
    void = centre - centre
    return Around(n + void, s + void, e + void, w + void, ne + void, sw + void, nw + void, se + void)


@compiled
def _opposite(z: Raster, y: int, x: int, dy: int, dx: int) -> tuple[float, float]:
    """A neighbour and the one across; a missing one is mirrored, both NaN if both are missing."""
    centre = np.float64(z[y, x])
    one, other = _value(z, y + dy, x + dx), _value(z, y - dy, x - dx)
    if np.isnan(one):
        one = 2.0 * centre - other
    if np.isnan(other):
        other = 2.0 * centre - one
    return one, other


@compiled
def _value(z: Raster, y: int, x: int) -> float:
    """Elevation, NaN outside the array."""
    if y < 0 or x < 0 or y >= z.shape[0] or x >= z.shape[1]:
        return np.nan
    return np.float64(z[y, x])
