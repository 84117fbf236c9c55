"""Bilinear interpolation of a row of pixels between four neighbours that all are there.

In three loops: finding and blending compile to wide instructions, which gathering does not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Raster

SNAP: Final = 1e-6
"""Positions this close to a source pixel centre, in pixels, are on it."""

Positions = NDArray[np.float64]
"""Row or column on the source, by pixel."""


class Four(NamedTuple):
    """The four neighbours of each pixel of a row."""

    first: NDArray[np.int32]
    """The upper left one, counted row by row."""
    down: Positions
    """How far below it the pixel lies, of the way to the next row."""
    across: Positions
    values: NDArray[np.float32]
    """(4, pixel)"""


@compiled
def empty_four(size: int) -> Four:
    """Room for a row of pixels."""
    return Four(np.empty(size, np.int32), np.empty(size), np.empty(size), np.empty((4, size), np.float32))


@compiled
def blend_four(source: Raster, r: Positions, c: Positions, four: Four, out: NDArray[np.float32]) -> bool:
    """Write the weighted mean of four neighbours, NaN where one is missing; whether any is."""
    if source.shape[0] < 2 or source.shape[1] < 2:
        out[:] = np.nan
        return True
    _find(r, c, source.shape, four)
    _gather(source.ravel(), source.shape[1], four)
    return _blend(four, out)


@compiled
def _find(r: Positions, c: Positions, shape: tuple[int, int], four: Four) -> None:
    """Which of the cells, counted row by row, is the first of the four, and how far from it: NaN where none is."""
    height, width = shape[0] - 1.0, shape[1] - 1.0
    for j in range(r.size):
        inside = (r[j] >= 0.0) & (r[j] < height) & (c[j] >= 0.0) & (c[j] < width)
        down, across = r[j] if inside else 0.0, c[j] if inside else 0.0
        r0, c0 = np.int32(down), np.int32(across)
        four.down[j] = _snapped(down - r0)
        four.across[j] = _snapped(across - c0) + (0.0 if inside else np.nan)
        four.first[j] = r0 * shape[1] + c0


@compiled
def _gather(cells: NDArray[np.float32], width: int, four: Four) -> None:
    right, below, diagonal = cells[1:], cells[width:], cells[width + 1 :]
    values = four.values
    for j in range(four.first.size):
        at = np.uint32(four.first[j])
        values[0, j], values[1, j], values[2, j], values[3, j] = cells[at], right[at], below[at], diagonal[at]


@compiled
def _blend(four: Four, out: NDArray[np.float32]) -> bool:
    """Whether any value is missing."""
    across, down = four.across, four.down
    upper_left, upper_right, lower_left, lower_right = four.values[0], four.values[1], four.values[2], four.values[3]
    missing = False
    for j in range(out.size):
        upper = (1.0 - across[j]) * upper_left[j] + across[j] * upper_right[j]
        lower = (1.0 - across[j]) * lower_left[j] + across[j] * lower_right[j]
        out[j] = (1.0 - down[j]) * upper + down[j] * lower
        missing |= np.isnan(out[j])
    return missing


@compiled
def _snapped(part: float) -> float:
    """A fraction of a pixel, on the pixel centre where it is within `SNAP`."""
    low = 0.0 if part < SNAP else part
    return 1.0 if low > 1.0 - SNAP else low
