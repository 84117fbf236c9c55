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

_TWO = np.float32(2.0)


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
    diagonal, anti = at.ne - at.sw, at.se - at.nw
    return (diagonal + anti + _TWO * (at.e - at.w)) * per_x, (diagonal - anti + _TWO * (at.n - at.s)) * per_y


@compiled
def gradient_row(z: Raster, y: int, per_x: Real, per_y: Real, east: Row, north: Row) -> None:
    """Write the gradient of row `y` into two rows; NaN in both where the elevation is missing."""
    if 0 < y < z.shape[0] - 1:
        _inner_gradients(z[y - 1], z[y], z[y + 1], per_x, per_y, east, north)
    for x in gaps(z, y, east):
        east[x], north[x] = horn(around(z, y, x), per_x, per_y)


@compiled
def _inner_gradients(up: Row, here: Row, down: Row, per_x: Real, per_y: Real, east: Row, north: Row) -> None:
    """The inner columns; `east` is NaN where any of the nine elevations is missing."""
    for x in range(here.size - 2):
        at = Around(up[x + 1], down[x + 1], here[x + 2], here[x], up[x + 2], down[x], up[x], down[x + 2])
        p, q = horn(at, per_x, per_y)
        void = here[x + 1] - here[x + 1]
        north[x + 1] = q + void
        east[x + 1] = p + (q - q) + void


@compiled
def gaps(z: Raster, y: int, found: Row) -> NDArray[np.int64]:
    """Columns of row `y` without their nine elevations, NaN in `found` except at the edges."""
    columns = z.shape[1]
    if y == 0 or y == z.shape[0] - 1 or columns < 3:
        return np.arange(columns)
    count = 0
    for x in range(columns - 2):
        count += found[x + 1] != found[x + 1]
    places = np.empty(count + 2, dtype=np.int64)
    places[0], places[1] = 0, columns - 1
    if count:
        places[2:] = np.nonzero(np.isnan(found[1:-1]))[0] + 1
    return places


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
