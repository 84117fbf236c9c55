"""Where water goes: depressions filled, one receiver for every cell, cells counted downstream.

Cells are numbered row by row in the array with a rim of one cell around it, so that every cell of
the array has eight neighbours at fixed steps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled
from headscarp.core.types import Mask, Raster

BUCKET_M = 1.0 / 64.0
"""Width of the buckets that replace one large queue; results do not depend on it."""

_LAST, _UNSEEN = np.int32(-1), np.int32(-2)
Cells = NDArray[np.int32]


class Flow(NamedTuple):
    """Drainage of an area; cells by number, see the module."""

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
    surface = np.pad(elevation, 1, constant_values=np.nan)
    sea = np.pad(~land, 1) & np.isfinite(surface)
    level = np.where(sea, np.float32(np.nan), surface).ravel()
    receiver = np.full(level.size, -1, dtype=np.int32)
    steps, lengths = _steps(surface.shape[1], height_m, width_m)
    if np.isnan(level).all():
        return Flow(np.full_like(elevation, np.nan), receiver, np.empty(0, dtype=np.int32))
    order = _flood(level, receiver, steps, float(np.nanmin(level)), float(np.nanmax(level)))
    filled = np.where(sea.ravel(), surface.ravel(), level)
    _descend(filled, sea.ravel(), steps, lengths, receiver)
    return Flow(level.reshape(surface.shape)[1:-1, 1:-1].copy(), receiver, order)


def contributing_cells(flow: Flow) -> NDArray[np.int32]:
    """(y, x) number of cells that drain through each, itself included; 0 where not land."""
    rows, columns = flow.level.shape
    return _count(flow.receiver, flow.order).reshape(rows + 2, columns + 2)[1:-1, 1:-1]


def _steps(columns: int, height_m: float, width_m: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(8,) differences of number to the neighbours in row-major order, and their distances in metres."""
    around = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    steps = np.array([y * columns + x for y, x in around])
    return steps, np.array([np.hypot(y * height_m, x * width_m) for y, x in around])


@compiled
def _count(receiver: Cells, order: Cells) -> Cells:
    """(cells,) cells upstream, from the last flooded to the first."""
    cells = np.zeros(receiver.size, dtype=np.int32)
    for k in range(order.size - 1, -1, -1):
        cell = order[k]
        cells[cell] += 1
        if receiver[cell] >= 0:
            cells[receiver[cell]] += cells[cell]
    return cells


@compiled
def _flood(level: Raster, parent: Cells, steps: NDArray[np.int64], lowest: float, highest: float) -> Cells:
    """Raise `level` to its outlet's, note where the flood came from on flats, return its order.

    Cells wait in buckets by level and are sorted, by level and then number, only when their
    bucket is reached. Cells no higher than the water are appended to `order` at once: there it
    serves as the queue, so flats are flooded from their outlet in breadth.
    """
    outside = np.isnan(level)
    buckets = np.full(int((highest - lowest) / BUCKET_M) + 1, -1, dtype=np.int32)
    following = np.where(outside, _LAST, _UNSEEN)
    order = np.empty(level.size - outside.sum(), dtype=np.int32)
    heap = np.empty(1024, dtype=np.int32)
    for cell in _outlets(outside, steps):
        _stack(buckets, following, int((level[cell] - lowest) / BUCKET_M), cell)
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
            for step in steps:
                neighbour = cell + step
                if following[neighbour] != _UNSEEN:
                    continue
                following[neighbour] = _LAST
                if level[neighbour] <= level[cell]:
                    parent[neighbour] = cell
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
def _outlets(outside: NDArray[np.bool_], steps: NDArray[np.int64]) -> Cells:
    """Cells beside one that is not land, the rim included."""
    found = np.zeros(outside.size, dtype=np.bool_)
    for cell in range(outside.size):
        if not outside[cell]:
            for step in steps:
                found[cell] |= outside[cell + step]
    return np.nonzero(found)[0].astype(np.int32)


@compiled
def _descend(
    surface: NDArray[np.float32],
    sea: NDArray[np.bool_],
    steps: NDArray[np.int64],
    lengths: NDArray[np.float64],
    receiver: Cells,
) -> None:
    """Point every cell that has a lower neighbour at the steepest; others keep the flood's way."""
    for cell in range(surface.size):
        if sea[cell] or np.isnan(surface[cell]):
            continue
        steepest, chosen = 0.0, -1
        for k in range(8):
            fall = np.float64(surface[cell]) - surface[cell + steps[k]]
            if fall > steepest * lengths[k]:
                steepest, chosen = fall / lengths[k], cell + steps[k]
        if chosen >= 0:
            receiver[cell] = -1 if sea[chosen] else chosen


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
