"""Where water goes: depressions filled, one receiver for every cell, cells counted downstream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Mask, Raster

BUCKET_M = 0.25
"""Width of the buckets that replace one large queue; results do not depend on it."""

_DY = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_DX = np.array([-1, 0, 1, -1, 1, -1, 0, 1])
Cells = NDArray[np.int32]


class Flow(NamedTuple):
    """Drainage of an area; cells are numbered row by row."""

    level: Raster
    """(y, x) elevation with depressions filled, m; NaN where not land."""
    receiver: Cells
    """(cells,) the cell this one drains to, -1 where water leaves the land."""
    order: Cells
    """Land cells such that each comes after its receiver."""


def drainage(elevation: Raster, land: Mask, *, height_m: float, width_m: float) -> Flow:
    """Depressions filled by priority-flood, then steepest descent over the filled surface (D8).

    Water leaves at the edge of the array, at missing elevations and at the sea. On flats and
    filled depressions it follows the flood back to the outlet, so there are no cycles and no
    pits. Ties go to the first cell in row-major order: the result is deterministic.

    Barnes et al. (2014), https://doi.org/10.1016/j.cageo.2013.04.024;
    O'Callaghan and Mark (1984), https://doi.org/10.1016/S0734-189X(84)80011-0.
    """
    land = land & np.isfinite(elevation)
    sea = ~land & np.isfinite(elevation)
    level = np.where(land, elevation, np.float32(np.nan)).ravel()
    receiver = np.full(level.size, -1, dtype=np.int32)
    if not land.any():
        return Flow(level.reshape(land.shape), receiver, np.empty(0, dtype=np.int32))
    order = _flood(level, receiver, land.shape, float(np.nanmin(level)), float(np.nanmax(level)))
    surface = np.where(sea.ravel(), elevation.ravel(), level)
    _descend(surface, sea.ravel(), receiver, order, land.shape, (height_m, width_m))
    return Flow(level.reshape(land.shape), receiver, order)


@compiled
def contributing_cells(receiver: Cells, order: Cells) -> Cells:
    """(cells,) number of cells that drain through each, itself included; 0 where not land."""
    cells = np.zeros(receiver.size, dtype=np.int32)
    for k in range(order.size - 1, -1, -1):
        cell = order[k]
        cells[cell] += 1
        if receiver[cell] >= 0:
            cells[receiver[cell]] += cells[cell]
    return cells


@compiled
def _flood(level: Raster, parent: Cells, shape: tuple[int, int], lowest: float, highest: float) -> Cells:
    """Raise `level` to its outlet's, note where the flood came from, return the order of flooding.

    Cells wait in buckets by level and are sorted, by level and then number, only when their
    bucket is reached. Cells no higher than the water are appended to `order` at once: there it
    serves as the queue, so flats are flooded from their outlet in breadth.
    """
    seen = np.isnan(level)
    buckets = np.full(int((highest - lowest) / BUCKET_M) + 1, -1, dtype=np.int32)
    following = np.full(level.size, -1, dtype=np.int32)
    order = np.empty(level.size - seen.sum(), dtype=np.int32)
    heap = np.empty(1024, dtype=np.int32)
    for cell in _outlets(seen, shape):
        _stack(buckets, following, int((level[cell] - lowest) / BUCKET_M), cell)
        seen[cell] = True
    done = queued = 0
    for bucket in range(buckets.size):
        heap, waiting = _gather(heap, level, buckets, following, bucket)
        while waiting or done < queued:
            if done == queued:
                order[queued] = _pop(heap, waiting, level)
                queued += 1
                waiting -= 1
            cell = order[done]
            done += 1
            for k in range(8):
                neighbour = _neighbour(cell, k, shape)
                if neighbour < 0 or seen[neighbour]:
                    continue
                seen[neighbour] = True
                parent[neighbour] = cell
                if level[neighbour] <= level[cell]:
                    level[neighbour] = level[cell]
                    order[queued] = neighbour
                    queued += 1
                    continue
                place = int((level[neighbour] - lowest) / BUCKET_M)
                if place == bucket:
                    heap = _push(heap, waiting, level, neighbour)
                    waiting += 1
                else:
                    _stack(buckets, following, place, neighbour)
    return order


@compiled
def _outlets(outside: NDArray[np.bool_], shape: tuple[int, int]) -> Cells:
    """Cells at the edge of the array or beside a cell that is not land."""
    found = np.zeros(outside.size, dtype=np.bool_)
    for cell in range(outside.size):
        if outside[cell]:
            continue
        for k in range(8):
            neighbour = _neighbour(cell, k, shape)
            if neighbour < 0 or outside[neighbour]:
                found[cell] = True
    return np.nonzero(found)[0].astype(np.int32)


@compiled
def _descend(
    surface: NDArray[np.float32],
    sea: NDArray[np.bool_],
    receiver: Cells,
    order: Cells,
    shape: tuple[int, int],
    pixel: tuple[float, float],
) -> None:
    """Point every cell that has a lower neighbour at the steepest; others keep the flood's way."""
    for cell in order:
        steepest, chosen = 0.0, -1
        for k in range(8):
            neighbour = _neighbour(cell, k, shape)
            if neighbour < 0:
                continue
            fall = np.float64(surface[cell]) - surface[neighbour]
            steepness = fall / np.hypot(_DY[k] * pixel[0], _DX[k] * pixel[1])
            if steepness > steepest:
                steepest, chosen = steepness, neighbour
        if chosen >= 0:
            receiver[cell] = -1 if sea[chosen] else chosen


@compiled
def _neighbour(cell: int, k: int, shape: tuple[int, int]) -> int:
    """The number of neighbour `k`, -1 outside the array."""
    y, x = cell // shape[1] + _DY[k], cell % shape[1] + _DX[k]
    if y < 0 or x < 0 or y >= shape[0] or x >= shape[1]:
        return -1
    return int(y * shape[1] + x)


@compiled
def _stack(buckets: Cells, following: Cells, bucket: int, cell: int) -> None:
    """Lay a cell on top of its bucket."""
    following[cell] = buckets[bucket]
    buckets[bucket] = cell


@compiled
def _gather(heap: Cells, level: Raster, buckets: Cells, following: Cells, bucket: int) -> tuple[Cells, int]:
    """Move a bucket's cells to the empty heap; the heap (it may have grown) and its length."""
    waiting = 0
    cell = buckets[bucket]
    while cell >= 0:
        heap = _push(heap, waiting, level, cell)
        waiting += 1
        cell = following[cell]
    return heap, waiting


@compiled
def _before(level: Raster, one: int, other: int) -> bool:
    """Whether a cell is flooded before another: by level, then by number."""
    return bool(level[one] < level[other] or (level[one] == level[other] and one < other))


@compiled
def _push(heap: Cells, length: int, level: Raster, cell: int) -> Cells:
    """Add a cell to a binary heap of `length` cells; returns the heap, which may have grown."""
    if length == heap.size:
        larger = np.empty(2 * heap.size, dtype=np.int32)
        larger[:length] = heap
        heap = larger
    at = length
    while at > 0 and _before(level, cell, heap[(at - 1) // 2]):
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = cell
    return heap


@compiled
def _pop(heap: Cells, length: int, level: Raster) -> int:
    """Take the first cell off a heap of `length` cells."""
    first, last = heap[0], heap[length - 1]
    at, child = 0, 1
    while child < length - 1:
        if child + 1 < length - 1 and _before(level, heap[child + 1], heap[child]):
            child += 1
        if not _before(level, heap[child], last):
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = last
    return int(first)
