"""Means, extremes and counts over a window around every pixel.

Sums run in a fixed order over each pixel's own window, so a value does not depend, to the last
bit, on how the grid was cut into blocks. Cells outside the array count as missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Raster

_TILE = 512
"""Columns summed at a time; a constant, so that the loop over them is compiled to wide instructions."""


def focal_mean(values: Raster, weights: NDArray[np.float64], *, least_share: float) -> NDArray[np.float64]:
    """Weighted mean over the valid cells of a square window of odd side (n, n).

    NaN where the centre is missing or valid cells hold less than `least_share` of the weight.
    """
    half = weights.shape[0] // 2
    spare = -values.shape[1] % _TILE
    padded = np.pad(values, ((half, half), (half, half + spare)), constant_values=np.nan)
    out = np.empty(values.shape)
    offsets = np.argwhere(weights != 0.0)
    _focal_mean(padded, offsets, weights[weights != 0.0], least_share * weights.sum(), out)
    out[np.isnan(values)] = np.nan
    return out


def disc(radius_px: int) -> NDArray[np.float64]:
    """A disc of ones: cell centres within the radius, the centre included."""
    line = np.arange(-radius_px, radius_px + 1)
    return (line[:, None] ** 2 + line[None, :] ** 2 <= radius_px**2).astype(np.float64)


def window_range(values: Raster, half: int, *, least_share: float) -> Raster:
    """Maximum minus minimum over a square window of 2 `half` + 1 pixels.

    NaN where the centre is missing or fewer than `least_share` of the cells are valid.
    """
    gaps = np.isnan(values)
    low = values.copy()
    high = -values
    low[gaps] = high[gaps] = np.inf
    span = -(_window_minimum(low, half) + _window_minimum(high, half))
    cells = (2 * half + 1) ** 2
    span[gaps | (window_count(~gaps, half) < least_share * cells)] = np.nan
    return span


def window_count(mask: NDArray[np.bool_], half: int) -> NDArray[np.int32]:
    """Number of true cells in a square window of 2 `half` + 1 pixels."""
    corner = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int32)
    corner[1:, 1:] = mask.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    y, x = np.arange(mask.shape[0]), np.arange(mask.shape[1])
    top, bottom = np.maximum(y - half, 0), np.minimum(y + half + 1, mask.shape[0])
    left, right = np.maximum(x - half, 0), np.minimum(x + half + 1, mask.shape[1])
    upper, lower = corner[top], corner[bottom]
    counts: NDArray[np.int32] = lower[:, right] - lower[:, left] - upper[:, right] + upper[:, left]
    return counts


@compiled
def _focal_mean(
    padded: Raster, offsets: NDArray[np.int64], weights: NDArray[np.float64], least: float, out: NDArray[np.float64]
) -> None:
    """Fill `out`; the padding of `padded` is the reach of the offsets and fills up the last tile."""
    rows, columns = out.shape
    side = padded.shape[0] - rows + 1
    valid = np.where(np.isnan(padded), np.float32(0.0), np.float32(1.0))
    filled = np.where(np.isnan(padded), np.float32(0.0), padded)
    total, weight = np.empty(_TILE), np.empty(_TILE)
    for left in range(0, columns, _TILE):
        width = min(_TILE, columns - left)
        gaps = _rows_with_gaps(valid, left, left + width + side - 1)
        for y in range(rows):
            _weighted_sum(filled, (y, left), offsets, weights, total)
            if gaps[y : y + side].any():
                _weighted_sum(valid, (y, left), offsets, weights, weight)
            else:
                weight[:] = weights.sum()
            for x in range(width):
                out[y, left + x] = total[x] / weight[x] if weight[x] >= least else np.nan


@compiled
def _rows_with_gaps(valid: Raster, left: int, right: int) -> NDArray[np.bool_]:
    """(rows,) whether any cell between two columns is missing."""
    gaps = np.zeros(valid.shape[0], dtype=np.bool_)
    for y in range(valid.shape[0]):
        gaps[y] = valid[y, left:right].min() == 0.0
    return gaps


@compiled
def _weighted_sum(
    values: Raster,
    corner: tuple[int, int],
    offsets: NDArray[np.int64],
    weights: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    """Sum of a tile's shifted copies of one row, each times its weight, in the order of the offsets."""
    total[:] = 0.0
    for k in range(weights.size):
        start = corner[1] + offsets[k, 1]
        shifted = values[corner[0] + offsets[k, 0]][start : start + _TILE]
        weight = weights[k]
        for x in range(_TILE):
            total[x] += weight * shifted[x]


@compiled
def _window_minimum(values: Raster, half: int) -> Raster:
    """Minimum over a square window by doubling along each axis; outside the array is infinite."""
    rows, columns = values.shape
    side = 2 * half + 1
    out = np.empty_like(values)
    line = np.empty((1, columns + 2 * half), dtype=np.float32)
    for y in range(rows):
        line[:] = np.inf
        line[0, half : half + columns] = values[y]
        _double_columns(line[0], side)
        out[y] = line[0, :columns]
    strip = np.empty((rows + 2 * half, 64), dtype=np.float32)
    for left in range(0, columns, 64):
        width = min(64, columns - left)
        strip[:] = np.inf
        strip[half : half + rows, :width] = out[:, left : left + width]
        _double_rows(strip, side)
        out[:, left : left + width] = strip[:rows, :width]
    return out


@compiled
def _double_columns(line: NDArray[np.float32], side: int) -> None:
    """Make every cell the minimum of itself and the `side` - 1 cells after it."""
    reach = 1
    while reach < side:
        step = min(reach, side - reach)
        for x in range(line.size - step):
            line[x] = min(line[x], line[x + step])
        reach += step


@compiled
def _double_rows(strip: NDArray[np.float32], side: int) -> None:
    """The same along the first axis of a strip."""
    reach = 1
    while reach < side:
        step = min(reach, side - reach)
        for y in range(strip.shape[0] - step):
            for x in range(strip.shape[1]):
                strip[y, x] = min(strip[y, x], strip[y + step, x])
        reach += step
