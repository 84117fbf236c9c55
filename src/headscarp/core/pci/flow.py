"""Where water goes: depressions filled, steepest descent, cells counted downstream.

Each step looks at neighbours only, so that a block drains as the whole does wherever the halo
holds what decides: the way out of its depressions, and the basins of its streams.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.pci.depressions import (
    FLAT,
    LEAVES,
    OUTLET,
    TOWARDS,
    VOID,
    Cells,
    Directions,
    Levels,
    Steps,
    fill_depressions,
)
from headscarp.core.types import Mask, Raster

_PENDING, _UNDECIDED = 10, 255
_DONE = 255
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Steps of row and column to the neighbour of each direction."""


class Flow(NamedTuple):
    """Drainage of an area."""

    level: Raster
    """(y, x) elevation with depressions filled, m; NaN where not land."""
    directions: Directions
    """(y, x) index into `AROUND` of the neighbour a cell drains to, or `LEAVES`; `VOID` where not land."""


def drainage(elevation: Raster, land: Mask, *, height_m: float, width_m: float) -> Flow:
    """Depressions filled to their outlet, then steepest descent over the filled surface (D8).

    Water leaves at the edge of the array, at missing elevations and at the sea. Flats and filled
    depressions drain the shortest way, in cells, to where something is lower. Of equal neighbours
    the first in row-major order is taken.

    O'Callaghan and Mark (1984), https://doi.org/10.1016/S0734-189X(84)80011-0.
    """
    surface = np.pad(elevation, 1, constant_values=np.nan)
    level = np.where(np.pad(land, 1), surface, np.float32(np.nan))
    directions = np.empty(level.shape, dtype=np.uint8)
    steps = np.array([y * level.shape[1] + x for y, x in AROUND])
    per_m = np.array([1.0 / np.hypot(y * height_m, x * width_m) for y, x in AROUND])
    _descend(surface, level, per_m, directions)
    if fill_depressions(level.ravel(), directions.ravel(), steps):
        _descend(surface, level, per_m, directions)
    _drain_flats(level.ravel(), directions.ravel(), steps)
    return Flow(level[1:-1, 1:-1], directions[1:-1, 1:-1] & np.uint8(TOWARDS))


def contributing_cells(flow: Flow) -> NDArray[np.int32]:
    """(y, x) number of cells that drain through each, itself included; 0 where not land."""
    directions = np.pad(flow.directions, 1, constant_values=VOID)
    steps = np.array([y * directions.shape[1] + x for y, x in AROUND])
    return _accumulate(directions.ravel(), steps).reshape(directions.shape)[1:-1, 1:-1]


@compiled
def _descend(surface: Raster, level: Raster, per_m: NDArray[np.float64], directions: NDArray[np.uint8]) -> None:
    """Steepest descent over `level`; beside what is not land, over `surface`."""
    rows, columns = level.shape
    directions[0] = directions[-1] = VOID
    for y in range(1, rows - 1):
        row = directions[y]
        row[0] = row[columns - 1] = VOID
        _steepest(level[y - 1], level[y], level[y + 1], per_m, row)
        for x in range(1, columns - 1):
            if row[x] == _UNDECIDED:
                row[x] = _beside_void(surface, level, y, x, per_m)


@compiled
def _steepest(up: Levels, here: Levels, down: Levels, per_m: NDArray[np.float64], row: Directions) -> None:
    """Directions of the inner columns; undecided where one of the nine is not land."""
    nw, n, ne, w, e, sw, s, se = per_m[0], per_m[1], per_m[2], per_m[3], per_m[4], per_m[5], per_m[6], per_m[7]
    for x in range(here.size - 2):
        z = np.float64(here[x + 1])
        falls = (
            (z - up[x]) * nw, (z - up[x + 1]) * n, (z - up[x + 2]) * ne, (z - here[x]) * w,
            (z - here[x + 2]) * e, (z - down[x]) * sw, (z - down[x + 1]) * s, (z - down[x + 2]) * se,
        )  # fmt: skip
        steepest, chosen, total = 0.0, FLAT, 0.0
        for k, fall in enumerate(falls):
            chosen = k if fall > steepest else chosen
            steepest = fall if fall > steepest else steepest
            total += fall
        row[x + 1] = np.uint8(_UNDECIDED if np.isnan(total) else chosen)


@compiled
def _beside_void(surface: Raster, level: Raster, y: int, x: int, per_m: NDArray[np.float64]) -> int:
    """The direction of a cell with a neighbour that is not land: down to the sea if that is steepest."""
    if np.isnan(level[y, x]):
        return VOID
    steepest, chosen = 0.0, LEAVES
    for k in range(8):
        at_y, at_x = y + AROUND[k][0], x + AROUND[k][1]
        is_land = not np.isnan(level[at_y, at_x])
        there = level[at_y, at_x] if is_land else surface[at_y, at_x]
        fall = (np.float64(level[y, x]) - there) * per_m[k]
        if fall > steepest:
            steepest, chosen = fall, k if is_land else LEAVES
    return chosen | OUTLET


@compiled
def _drain_flats(level: Levels, directions: Directions, steps: Steps) -> None:
    """Send flat cells to neighbours of their level, from those that drain inwards, ring by ring.

    A ring is chosen as a whole before any of it counts as drained: the order of work changes nothing.
    """
    ring = np.nonzero(directions == FLAT)[0]
    ring = _pending(level, directions, steps, ring)
    while ring.size:
        chosen = np.empty(ring.size, dtype=np.uint8)
        for k in range(ring.size):
            chosen[k] = _first_drained(level, directions, steps, ring[k])
        for k in range(ring.size):
            directions[ring[k]] = chosen[k]
        ring = _next_ring(level, directions, steps, ring)


@compiled
def _pending(level: Levels, directions: Directions, steps: Steps, flat: NDArray[np.int64]) -> NDArray[np.int64]:
    """The flat cells beside one of their level that drains."""
    ring = np.empty(flat.size, dtype=np.int64)
    found = 0
    for cell in flat:
        if _first_drained(level, directions, steps, cell) < FLAT:
            ring[found] = cell
            found += 1
    for k in range(found):
        directions[ring[k]] = _PENDING
    return ring[:found].copy()


@compiled
def _first_drained(level: Levels, directions: Directions, steps: Steps, cell: int) -> int:
    """The first neighbour of a cell's own level that drains; `FLAT` if there is none."""
    for k in range(8):
        there = cell + steps[k]
        towards = directions[there] & TOWARDS
        if level[there] == level[cell] and (towards < FLAT or towards == LEAVES):
            return k
    return FLAT


@compiled
def _next_ring(level: Levels, directions: Directions, steps: Steps, ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """Flat cells beside the ring, of the same level, each once."""
    found = 0
    cells = np.empty(8 * ring.size, dtype=np.int64)
    for cell in ring:
        for step in steps:
            there = cell + step
            if directions[there] == FLAT and level[there] == level[cell]:
                directions[there] = _PENDING
                cells[found] = there
                found += 1
    return cells[:found].copy()


@compiled
def _accumulate(directions: Directions, steps: Steps) -> Cells:
    """(cells,) cells upstream: from each spring down until a cell waits for another tributary."""
    donors, cells = np.zeros(directions.size, dtype=np.uint8), np.zeros(directions.size, dtype=np.int32)
    _count_donors(directions, steps[6], donors)
    for cell in range(cells.size):
        cells[cell] = directions[cell] != VOID
    for spring in range(directions.size):
        at = np.int64(spring)
        while donors[at] == 0 and directions[at] != VOID:
            donors[at] = _DONE
            if directions[at] >= FLAT:
                break
            to = at + steps[directions[at]]
            cells[to] += cells[at]
            donors[to] -= np.uint8(1)
            at = to
    return cells


@compiled
def _count_donors(directions: Directions, columns: int, donors: Directions) -> None:
    """Neighbours that drain to each cell: the north-western one does if its direction is south-east, and so on."""
    here, row, below = donors[columns + 1 :], directions[columns:], directions[2 * columns :]
    nw, n, ne, w, e, sw, s, se = directions, directions[1:], directions[2:], row, row[2:], below, below[1:], below[2:]
    for k in range(se.size):
        above = (nw[k] == 7) + (n[k] == 6) + (ne[k] == 5)
        here[k] = above + (w[k] == 4) + (e[k] == 3) + (sw[k] == 2) + (s[k] == 1) + (se[k] == 0)
