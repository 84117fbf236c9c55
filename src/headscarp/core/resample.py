"""The compiled loops of `core.warp`: interpolate node positions, then take source values there."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headscarp.core.bilinear import SNAP, Four, Positions, blend_four, empty_four
from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Codes, Raster

NODE_PIXELS: Final = 16
"""Target pixels between two nodes."""
NEAREST: Final = 0
BILINEAR: Final = 1
CUBIC: Final = 2
AVERAGE: Final = 3

Nodes = NDArray[np.float64]
"""(row, column) of nodes."""


@compiled
def _row_positions(nodes: Nodes, down: float, across: float, corner: int, line: Positions, out: Positions) -> None:
    """Positions of a row of pixels that lies `down` pixels below the first node and begins `across` to its right."""
    k = int(down / NODE_PIXELS)
    t = down / NODE_PIXELS - k
    for m in range(line.size):
        line[m] = (1.0 - t) * nodes[k, m] + t * nodes[k + 1, m]
    for m in range(line.size - 1):
        first, last = NODE_PIXELS * m - across, NODE_PIXELS * (m + 1) - across
        start, step = line[m] - corner, (line[m + 1] - line[m]) / NODE_PIXELS
        for j in range(max(0, int(np.ceil(first))), min(out.size, int(np.ceil(last)))):
            out[j] = start + (j - first) * step


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
    if r1 - r0 == 1 and c1 - c0 == 1:
        return float(source[r0, c0])
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
    line, wr, wc = np.empty(rows.shape[1]), np.empty(4), np.empty(4)
    r, c, four = np.empty(out.shape[1]), np.empty(out.shape[1]), empty_four(out.shape[1])
    for i in range(out.shape[0]):
        _row_positions(rows, first[0] + i, first[1], corner[0], line, r)
        _row_positions(columns, first[0] + i, first[1], corner[1], line, c)
        if method == BILINEAR:
            _bilinear_row(source, r, c, reach, four, out[i])
            continue
        if method == NEAREST:
            _nearest_row(source, r, c, reach, np.nan, out[i])
            continue
        k, at, half = int((first[0] + i) / NODE_PIXELS), -1, (0.0, 0.0)
        for j in range(out.shape[1]):
            m = int((first[1] + j) / NODE_PIXELS)
            if method == AVERAGE and m != at:
                at, half = m, (_half_step(rows, k, m), _half_step(columns, k, m))
            out[i, j] = _value_at(method, source, r[j], c[j], half, reach, wr, wc)


@compiled
def _nearest_row(
    source: NDArray[Any], r: Positions, c: Positions, reach: float, missing: float, out: NDArray[Any]
) -> None:
    """The nearest source pixel, of floats or of codes."""
    height, width = source.shape
    limit = reach + SNAP
    for j in range(out.size):
        out[j] = missing
        if _is_within(r[j], height, limit) and _is_within(c[j], width, limit):
            out[j] = source[int(min(max(r[j], 0.0), height - 1.0) + 0.5), int(min(max(c[j], 0.0), width - 1.0) + 0.5)]


@compiled
def _bilinear_row(
    source: Raster, r: Positions, c: Positions, reach: float, four: Four, out: NDArray[np.float32]
) -> None:
    """Four neighbours that all are there; where one is not, the slower way round."""
    if blend_four(source, r, c, four, out):
        for j in range(out.size):
            if np.isnan(out[j]):
                out[j] = _value_at(BILINEAR, source, r[j], c[j], (0.0, 0.0), reach, r, c)


@compiled
def _value_at(
    method: int,
    source: Raster,
    r: float,
    c: float,
    half: tuple[float, float],
    reach: float,
    wr: NDArray[np.float64],
    wc: NDArray[np.float64],
) -> float:
    """The value at one position; NaN where the nearest source pixel is NaN or further than `reach`."""
    height, width = source.shape
    if not (_is_within(r, height, reach + SNAP) and _is_within(c, width, reach + SNAP)):
        return np.nan
    r, c = min(max(r, 0.0), height - 1.0), min(max(c, 0.0), width - 1.0)
    if half[0] > 0.5 + SNAP or half[1] > 0.5 + SNAP:
        return _average_at(source, r, c, half)
    if np.isnan(source[int(r + 0.5), int(c + 0.5)]):
        return np.nan
    return _cubic_at(source, r, c, wr, wc) if method == CUBIC else _bilinear_at(source, r, c)


@compiled
def _is_within(position: float, size: int, limit: float) -> bool:
    return bool(-limit <= position <= size - 1 + limit)


@compiled
def _mode_at(source: Codes, r: float, c: float, half: tuple[float, float], counts: NDArray[np.int64]) -> int:
    """Most frequent known code inside the footprint, the smallest of equals; `counts` is left all zero, as it came."""
    r0, r1 = _span(r, half[0], source.shape[0])
    c0, c1 = _span(c, half[1], source.shape[1])
    if r1 - r0 == 1 and c1 - c0 == 1:
        return int(source[r0, c0])
    for i in range(r0, r1):
        for j in range(c0, c1):
            counts[source[i, j]] += 1
    code, most, unknown = 0, 0, counts[0]
    for i in range(r0, r1):
        for j in range(c0, c1):
            candidate, count = source[i, j], counts[source[i, j]]
            if candidate != 0 and (count > most or (count == most and candidate < code)):
                code, most = int(candidate), count
    for i in range(r0, r1):
        for j in range(c0, c1):
            counts[source[i, j]] = 0
    return 0 if 2 * unknown > (r1 - r0) * (c1 - c0) else code


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
    line, counts = np.empty(rows.shape[1]), np.zeros(256, np.int64)
    r, c = np.empty(out.shape[1]), np.empty(out.shape[1])
    for i in range(out.shape[0]):
        _row_positions(rows, first[0] + i, first[1], corner[0], line, r)
        _row_positions(columns, first[0] + i, first[1], corner[1], line, c)
        if not by_mode:
            _nearest_row(source, r, c, 0.5, 0, out[i])
            continue
        k, at, half = int((first[0] + i) / NODE_PIXELS), -1, (0.0, 0.0)
        for j in range(out.shape[1]):
            m = int((first[1] + j) / NODE_PIXELS)
            if m != at:
                at, half = m, (_half_step(rows, k, m), _half_step(columns, k, m))
            out[i, j] = _code_at(source, r[j], c[j], half, counts)


@compiled
def _code_at(source: Codes, r: float, c: float, half: tuple[float, float], counts: NDArray[np.int64]) -> int:
    """The code at one position, 0 outside the source."""
    height, width = source.shape
    if not (_is_within(r, height, 0.5 + SNAP) and _is_within(c, width, 0.5 + SNAP)):
        return 0
    r, c = min(max(r, 0.0), height - 1.0), min(max(c, 0.0), width - 1.0)
    if half[0] > 0.5 + SNAP or half[1] > 0.5 + SNAP:
        return _mode_at(source, r, c, half, counts)
    return int(source[int(r + 0.5), int(c + 0.5)])
