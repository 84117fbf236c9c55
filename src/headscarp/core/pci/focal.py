"""Extremes over squares and means over discs, around every pixel.

Results are exact, whatever the order of the work: so a value does not depend, to the last bit, on
how the grid was cut into blocks. Cells outside the array count as missing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Raster

Row = NDArray[np.float32]
Words = NDArray[np.int64]

_TILE = 512
"""Columns worked on at a time, so that all rows of a window stay in the cache of a core."""
_UNITS = 65536.0
"""Fixed-point units per metre: 15 micrometres, the step of a float32 between 128 and 256 m."""
_COUNT_BITS = 16
_COUNT_MASK = (1 << _COUNT_BITS) - 1
LARGEST_RADIUS_PX = 140
"""Cells of a larger disc cannot be counted in `_COUNT_BITS` bits."""


def window_range(values: Raster, half: int, *, least_share: float) -> Raster:
    """Maximum minus minimum over a square window of 2 `half` + 1 pixels.

    NaN where the centre is missing or fewer than `least_share` of the cells are valid.
    van Herk (1992), https://doi.org/10.1016/0167-8655(92)90069-C.
    """
    out = np.empty(values.shape, dtype=np.float32)
    _window_range(values, half, out)
    _blank_where_few(values, half, least_share * (2 * half + 1) ** 2, out)
    return out


def above_disc_mean(values: Raster, radius_px: int, *, least_share: float) -> Raster:
    """Value minus the mean of the cells whose centres lie within `radius_px` pixels, itself included.

    NaN where the centre is missing or fewer than `least_share` of the cells are valid.

    Raises:
        ValueError: the radius is larger than `LARGEST_RADIUS_PX`.
    """
    if not 0 < radius_px <= LARGEST_RADIUS_PX:
        raise ValueError(f"expected a radius of 1 to {LARGEST_RADIUS_PX} pixels, found {radius_px}")
    reaches = disc_reaches(radius_px)
    out = np.empty(values.shape, dtype=np.float32)
    _above_disc_mean(values, reaches, least_share * (2 * (2 * reaches + 1).sum() - (2 * reaches[0] + 1)), out)
    return out


def disc_reaches(radius_px: int) -> NDArray[np.int64]:
    """(radius + 1,) columns that a disc reaches to either side, by rows from its centre."""
    return np.array([math.isqrt(radius_px**2 - dy**2) for dy in range(radius_px + 1)], dtype=np.int64)


@compiled
def _window_range(z: Raster, half: int, out: Raster) -> None:
    for left in range(0, z.shape[1], _TILE):
        _range_of_tile(z, left, min(_TILE, z.shape[1] - left), half, out)


@compiled
def _range_of_tile(z: Raster, left: int, width: int, half: int, out: Raster) -> None:
    """Down the columns of a tile, in spans as long as the window is high.

    A window is the end of one span and the beginning of the next: `rest` holds the extremes from
    each row of the last span to its end, `so_far` those of this span's rows down to the window's last.
    """
    side = 2 * half + 1
    rows, rest = np.empty((2, side, width), dtype=np.float32), np.empty((2, side, width), dtype=np.float32)
    so_far, work = np.empty((2, width), dtype=np.float32), np.empty((4, width + 2 * half), dtype=np.float32)
    for bottom in range(z.shape[0] + half):
        place = bottom % side
        low, high = rows[0, place], rows[1, place]
        _extremes_along(z, bottom, left - half, work, low, high)
        if place == 0:
            so_far[0], so_far[1] = np.inf, -np.inf
        _widen(low, high, so_far[0], so_far[1])
        if place == side - 1:
            _extremes_to_end(rows, rest)
        if bottom >= half:
            later = (bottom + 1) % side if bottom >= side - 1 else place
            least, most = (rest[0, later], rest[1, later]) if bottom >= side - 1 else (low, high)
            _span(least, most, so_far[0], so_far[1], out[bottom - half, left : left + width])


@compiled
def _extremes_along(z: Raster, y: int, left: int, work: Raster, low: Row, high: Row) -> None:
    """Lowest and highest of row `y` from `left` on over the width of the window, by doubling.

    `work` holds two pairs of rows, from one to the other and back: swapped names would not be compiled to wide
    instructions.
    """
    cells = work.shape[1]
    work[0] = np.inf
    work[1] = -np.inf
    if y < z.shape[0]:
        first, last = max(left, 0), min(left + cells, z.shape[1])
        _spread(z[y, first:last], work[0, first - left : last - left], work[1, first - left : last - left])
    reach, side, at = 1, cells - low.size + 1, 0
    while 2 * reach < side:
        _slide(work[at], work[at + 1], reach, work[2 - at], work[3 - at])
        at, reach = 2 - at, 2 * reach
    _slide(work[at], work[at + 1], side - reach, low, high)


@compiled
def _spread(values: Row, low: Row, high: Row) -> None:
    """Copy what is known; what is missing is neither the lowest nor the highest."""
    for x in range(values.size):
        missing = np.isnan(values[x])
        low[x] = np.float32(np.inf) if missing else values[x]
        high[x] = np.float32(-np.inf) if missing else values[x]


@compiled
def _slide(low_from: Row, high_from: Row, step: int, low_to: Row, high_to: Row) -> None:
    """Extremes of each window and of the one `step` cells on."""
    low_next, high_next = low_from[step:], high_from[step:]
    for x in range(min(low_to.size, low_next.size)):
        low_to[x] = min(low_from[x], low_next[x])
        high_to[x] = max(high_from[x], high_next[x])


@compiled
def _extremes_to_end(rows: NDArray[np.float32], rest: NDArray[np.float32]) -> None:
    """Extremes from each row of a span to its last one; not in place, which would be slower."""
    end = rows.shape[1] - 1
    rest[:, end] = rows[:, end]
    for k in range(end - 1, -1, -1):
        for x in range(rows.shape[2]):
            rest[0, k, x] = min(rows[0, k, x], rest[0, k + 1, x])
            rest[1, k, x] = max(rows[1, k, x], rest[1, k + 1, x])


@compiled
def _widen(low: Row, high: Row, lowest: Row, highest: Row) -> None:
    for x in range(low.size):
        lowest[x] = min(lowest[x], low[x])
        highest[x] = max(highest[x], high[x])


@compiled
def _span(low: Row, high: Row, lowest: Row, highest: Row, out: Row) -> None:
    """Highest minus lowest of two spans."""
    for x in range(out.size):
        out[x] = max(high[x], highest[x]) - min(low[x], lowest[x])


@compiled
def _blank_where_few(z: Raster, half: int, least: float, out: Raster) -> None:
    """NaN where the centre is missing or too few cells of the window are known."""
    rows, columns = z.shape
    known = np.zeros(columns + 2 * half, dtype=np.int32)
    before = np.zeros(columns + 2 * half + 1, dtype=np.int32)
    for bottom in range(rows + half):
        if bottom < rows:
            _count_row(z[bottom], np.int32(1), known[half : half + columns])
        if bottom > 2 * half:
            _count_row(z[bottom - 2 * half - 1], np.int32(-1), known[half : half + columns])
        if bottom >= half:
            for x in range(known.size):
                before[x + 1] = before[x] + known[x]
            _blank_row(z[bottom - half], before, before[2 * half + 1 :], least, out[bottom - half])


@compiled
def _count_row(row: Row, step: np.int32, known: NDArray[np.int32]) -> None:
    for x in range(row.size):
        known[x] += np.int32(0) if np.isnan(row[x]) else step


@compiled
def _blank_row(row: Row, before: NDArray[np.int32], after: NDArray[np.int32], least: float, out: Row) -> None:
    for x in range(row.size):
        few = after[x] - before[x] < least
        out[x] = np.float32(np.nan) if few or np.isnan(row[x]) else out[x]


@compiled
def _above_disc_mean(z: Raster, reaches: Words, least: float, out: Raster) -> None:
    """Rows of running sums wait in a ring until the disc around a row is complete."""
    for left in range(0, z.shape[1], _TILE):
        width = min(_TILE, z.shape[1] - left)
        radius = reaches.size - 1
        ring = np.zeros((2 * radius + 1, width + 2 * radius + 1), dtype=np.int64)
        totals = np.empty(width, dtype=np.int64)
        for bottom in range(z.shape[0] + radius):
            _running_sum(z, bottom, left - radius, ring[bottom % ring.shape[0]])
            if bottom >= radius:
                y = bottom - radius
                _disc_totals(ring, y, reaches, totals)
                _above_mean(z[y, left : left + width], totals, least, out[y, left : left + width])


@compiled
def _running_sum(z: Raster, y: int, left: int, sums: Words) -> None:
    """Sum of the words of row `y` before each column from `left` on.

    A word holds a value in `_UNITS` above the bits of a count of one, or is 0 where there is none, so
    that one exact sum gives both the sum and the count. Sums of whole rows may overflow: differences do not.
    """
    sums[:] = 0
    if y >= z.shape[0]:
        return
    first, last = max(left, 0), min(left + sums.size - 1, z.shape[1])
    row, words = z[y, first:last], sums[first - left + 1 : last - left + 1]
    for x in range(row.size):
        known = not np.isnan(row[x])
        units = np.int64(np.rint(np.float64(row[x] if known else np.float32(0.0)) * _UNITS))
        words[x] = (units << _COUNT_BITS) + np.int64(known)
    for x in range(1, sums.size):
        sums[x] += sums[x - 1]


@compiled
def _disc_totals(ring: Words, y: int, reaches: Words, totals: Words) -> None:
    """Sums of words over the disc around each pixel of row `y`."""
    radius = reaches.size - 1
    centre = ring[y % ring.shape[0]]
    totals[:] = centre[2 * radius + 1 :] - centre[: totals.size]
    for dy in range(1, radius + 1):
        start, stop = radius - reaches[dy], radius + reaches[dy] + 1
        above, below = ring[(y - dy) % ring.shape[0]], ring[(y + dy) % ring.shape[0]]
        _add_chords(above[start:], above[stop:], below[start:], below[stop:], totals)


@compiled
def _add_chords(above_start: Words, above_stop: Words, below_start: Words, below_stop: Words, totals: Words) -> None:
    for x in range(totals.size):
        totals[x] += (above_stop[x] - above_start[x]) + (below_stop[x] - below_start[x])


@compiled
def _above_mean(row: Row, totals: Words, least: float, out: Row) -> None:
    for x in range(row.size):
        count = totals[x] & _COUNT_MASK
        mean = np.float64(totals[x] >> _COUNT_BITS) / (np.float64(count) * _UNITS)
        out[x] = np.float32(np.float64(row[x]) - mean) if count >= least else np.float32(np.nan)
