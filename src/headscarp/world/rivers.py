"""Drainage on a raster: every cell's way to base level, and what rivers do to the land along it."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_DY = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_DX = np.array([-1, 0, 1, -1, 1, -1, 0, 1])


class Drainage(NamedTuple):
    """Flow of a raster of n cells, flat indices in row-major order."""

    order: Indices
    """(n,) cells such that each comes after its receiver."""
    receiver: Indices
    """(n,) the cell a cell drains to; itself at base level."""
    filled: Floats
    """(n,) elevation with depressions filled to a hair above their outlet."""


def drain(elevation: Floats, base: NDArray[np.bool_]) -> Drainage:
    """Priority-flood from base-level cells, then steepest descent on the filled surface.

    `elevation` and `base` (y, x); every cell must be connected to some base cell.
    Method: Barnes, Lehman and Mulla 2014, DOI 10.1016/j.cageo.2013.04.024.
    """
    order, receiver, filled = _flood(np.ascontiguousarray(elevation, np.float64), base)
    return Drainage(order, receiver, filled)


def accumulate(drainage: Drainage, cell_area: float) -> Floats:
    """Contributing area (n,) of every cell, itself included, in the unit of `cell_area`."""
    return np.asarray(_accumulate(drainage.order, drainage.receiver, cell_area))


def height_above(drainage: Drainage, elevation: Floats, channel: NDArray[np.bool_]) -> Floats:
    """Height (n,) of every cell above the first channel or base-level cell it drains to."""
    return np.asarray(_height_above(drainage.order, drainage.receiver, elevation.ravel(), channel.ravel()))


class Erosion(NamedTuple):
    """One time step of stream-power erosion; rasters are (y, x)."""

    uplift: Floats
    """m per step."""
    erodibility: Floats
    """K dt; exponent of area 0.45, of slope 1."""
    repose: Floats
    """Tangent of the steepest slope left standing."""


def erode(elevation: Floats, drainage: Drainage, step: Erosion, *, pixel_m: float) -> Floats:
    """Uplift, implicit river incision and hillslope failure, downstream cells first; (y, x).

    Method: Braun and Willett 2013, DOI 10.1016/j.geomorph.2012.10.008, and a repose limit.
    """
    area = accumulate(drainage, pixel_m * pixel_m)
    terms = (step.uplift.ravel(), step.erodibility.ravel(), step.repose.ravel())
    height = drainage.filled.copy()
    _erode(height, drainage.order, drainage.receiver, area, terms, elevation.shape[1], pixel_m)
    return height.reshape(elevation.shape)


@compiled
def _flood(elevation: Any, base: Any) -> Any:
    rows, cols = elevation.shape
    n = rows * cols
    count = np.int64(0)
    order, receiver = np.empty(n, np.int64), np.empty(n, np.int64)
    filled, seen = elevation.copy().ravel(), np.zeros(n, np.bool_)
    heap = [(0.0, np.int64(0))]
    heap.pop()
    for i in range(n):
        if base[i // cols, i % cols]:
            seen[i], receiver[i] = True, i
            heapq.heappush(heap, (filled[i], np.int64(i)))
    while heap:
        height, here = heapq.heappop(heap)
        order[count] = here
        count += 1
        y, x = here // cols, here % cols
        for k in range(8):
            v, u = y + _DY[k], x + _DX[k]
            if 0 <= v < rows and 0 <= u < cols:
                j = v * cols + u
                if not seen[j]:
                    seen[j], receiver[j] = True, here
                    filled[j] = max(filled[j], height + 1.0e-4)
                    heapq.heappush(heap, (filled[j], np.int64(j)))
    _steepest(filled, receiver, rows, cols)
    return order[:count], receiver, filled


@compiled
def _steepest(filled: Any, receiver: Any, rows: int, cols: int) -> None:
    for i in range(rows * cols):
        if receiver[i] == i:
            continue
        y, x, best = i // cols, i % cols, 0.0
        for k in range(8):
            v, u = y + _DY[k], x + _DX[k]
            if 0 <= v < rows and 0 <= u < cols:
                drop = filled[i] - filled[v * cols + u]
                if _DY[k] != 0 and _DX[k] != 0:
                    drop /= 1.4142135623730951
                if drop > best:
                    best, receiver[i] = drop, v * cols + u


@compiled
def _accumulate(order: Any, receiver: Any, cell_area: float) -> Any:
    area = np.full(receiver.size, cell_area)
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        if receiver[i] != i:
            area[receiver[i]] += area[i]
    return area


@compiled
def _height_above(order: Any, receiver: Any, elevation: Any, channel: Any) -> Any:
    height = np.zeros(elevation.size)
    for i in order:
        j = receiver[i]
        if not channel[i] and j != i:
            height[i] = max(height[j] + elevation[i] - elevation[j], 0.0)
    return height


@compiled
def _erode(height: Any, order: Any, receiver: Any, area: Any, terms: Any, cols: int, pixel: float) -> None:
    uplift, erodibility, repose = terms
    for i in order:
        j = receiver[i]
        if j == i:
            continue
        diagonal = i // cols != j // cols and i % cols != j % cols
        distance = pixel * 1.4142135623730951 if diagonal else pixel
        factor = erodibility[i] * area[i] ** 0.45 / distance
        raised = (height[i] + uplift[i] + factor * height[j]) / (1.0 + factor)
        height[i] = min(raised, height[j] + repose[i] * distance)
