"""The compiled loops of `core.warp`: interpolate node positions, then take source values there."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Codes, Raster

NODE_PIXELS: Final = 16
"""Target pixels between two nodes."""
SNAP: Final = 1e-6
"""Positions this close to a source pixel centre, in pixels, are on it."""
NEAREST: Final = 0
BILINEAR: Final = 1
CUBIC: Final = 2
AVERAGE: Final = 3

Nodes = NDArray[np.float64]
"""(row, column) of nodes."""


@compiled
def _between(nodes: Nodes, k: int, t: float, m: int, s: float) -> float:
    """Linear interpolation between four nodes."""
    upper = (1.0 - s) * nodes[k, m] + s * nodes[k, m + 1]
    lower = (1.0 - s) * nodes[k + 1, m] + s * nodes[k + 1, m + 1]
    return float((1.0 - t) * upper + t * lower)


@compiled
def _split(position: float) -> tuple[int, float]:
    """Whole and fractional part, on the pixel centre where it is within `SNAP`."""
    whole = int(position)
    part = position - whole
    if part > 1.0 - SNAP:
        return whole + 1, 0.0
    return whole, 0.0 if part < SNAP else part


@compiled
def _bilinear_at(source: Raster, r: float, c: float) -> float:
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
    return float(total / weights)


@compiled
def _keys(t: float, out: NDArray[np.float64]) -> None:
    """Keys' four weights for a fraction t."""
    out[0] = ((-0.5 * t + 1.0) * t - 0.5) * t
    out[1] = (1.5 * t - 2.5) * t * t + 1.0
    out[2] = ((-1.5 * t + 2.0) * t + 0.5) * t
    out[3] = (0.5 * t - 0.5) * t * t


@compiled
def _cubic_at(source: Raster, r: float, c: float, wr: NDArray[np.float64], wc: NDArray[np.float64]) -> float:
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


@compiled
def _half_step(nodes: Nodes, k: int, m: int) -> float:
    """Half the size of a target pixel in source rows, or columns."""
    down = nodes[k + 1, m] - nodes[k, m]
    across = nodes[k, m + 1] - nodes[k, m]
    return float(np.hypot(down, across) / (2 * NODE_PIXELS))


@compiled
def _span(centre: float, half: float, size: int) -> tuple[int, int]:
    """First and past-the-last pixel whose centre lies in [centre - half, centre + half)."""
    low = max(0, int(np.ceil(centre - half - SNAP)))
    high = min(size, int(np.ceil(centre + half - SNAP)))
    return low, high


@compiled
def _average_at(source: Raster, r: float, c: float, half: tuple[float, float]) -> float:
    """Mean of the values inside the footprint."""
    r0, r1 = _span(r, half[0], source.shape[0])
    c0, c1 = _span(c, half[1], source.shape[1])
    total = 0.0
    count = 0
    for i in range(r0, r1):
        for j in range(c0, c1):
            if not np.isnan(source[i, j]):
                total += source[i, j]
                count += 1
    return total / count if count else np.nan


@compiled
def fill_continuous(
    method: int,
    source: Raster,
    corner: tuple[int, int],
    rows: Nodes,
    columns: Nodes,
    first: tuple[float, float],
    reach: float,
    out: Raster,
) -> None:
    """Fill `out` from a source whose first pixel is at `corner` of the lattice that the nodes are counted on."""
    height, width = source.shape
    wr = np.empty(4)
    wc = np.empty(4)
    limit = reach + SNAP
    for i in range(out.shape[0]):
        k, t = _split((first[0] + i) / NODE_PIXELS)
        for j in range(out.shape[1]):
            m, s = _split((first[1] + j) / NODE_PIXELS)
            r = _between(rows, k, t, m, s) - corner[0]
            c = _between(columns, k, t, m, s) - corner[1]
            out[i, j] = np.nan
            if not (-limit <= r <= height - 1 + limit and -limit <= c <= width - 1 + limit):
                continue
            r = min(max(r, 0.0), height - 1.0)
            c = min(max(c, 0.0), width - 1.0)
            half = (_half_step(rows, k, m), _half_step(columns, k, m)) if method == AVERAGE else (0.0, 0.0)
            if half[0] > 0.5 + SNAP or half[1] > 0.5 + SNAP:
                out[i, j] = _average_at(source, r, c, half)
            elif np.isnan(source[int(r + 0.5), int(c + 0.5)]):
                continue
            elif method == NEAREST:
                out[i, j] = source[int(r + 0.5), int(c + 0.5)]
            elif method == CUBIC:
                out[i, j] = _cubic_at(source, r, c, wr, wc)
            else:
                out[i, j] = _bilinear_at(source, r, c)


@compiled
def _mode_at(source: Codes, r: float, c: float, half: tuple[float, float], counts: NDArray[np.int64]) -> int:
    """Most frequent known code inside the footprint."""
    r0, r1 = _span(r, half[0], source.shape[0])
    c0, c1 = _span(c, half[1], source.shape[1])
    counts[:] = 0
    for i in range(r0, r1):
        for j in range(c0, c1):
            counts[source[i, j]] += 1
    pixels = (r1 - r0) * (c1 - c0)
    if pixels == 0 or 2 * counts[0] > pixels:
        return 0
    return 1 + int(np.argmax(counts[1:]))


@compiled
def fill_codes(
    by_mode: bool,  # noqa: FBT001
    source: Codes,
    corner: tuple[int, int],
    rows: Nodes,
    columns: Nodes,
    first: tuple[float, float],
    out: Codes,
) -> None:
    """Fill `out` with class codes, as `fill_continuous`."""
    height, width = source.shape
    counts = np.zeros(256, np.int64)
    limit = 0.5 + SNAP
    for i in range(out.shape[0]):
        k, t = _split((first[0] + i) / NODE_PIXELS)
        for j in range(out.shape[1]):
            m, s = _split((first[1] + j) / NODE_PIXELS)
            r = _between(rows, k, t, m, s) - corner[0]
            c = _between(columns, k, t, m, s) - corner[1]
            out[i, j] = 0
            if not (-limit <= r <= height - 1 + limit and -limit <= c <= width - 1 + limit):
                continue
            r = min(max(r, 0.0), height - 1.0)
            c = min(max(c, 0.0), width - 1.0)
            half = (_half_step(rows, k, m), _half_step(columns, k, m)) if by_mode else (0.0, 0.0)
            if half[0] > 0.5 + SNAP or half[1] > 0.5 + SNAP:
                out[i, j] = _mode_at(source, r, c, half, counts)
            else:
                out[i, j] = source[int(r + 0.5), int(c + 0.5)]
