"""Drainage against morphological reconstruction, brute-force walks and landforms with known water."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headscarp.core.pci.flow import contributing_cells, drainage
from headscarp.core.pci.hydrology import hydrology
from headscarp.core.pci.terrain import slope_aspect
from headscarp.core.types import Mask, Raster
from tests.core.pci.landforms import SQUARE, axes, fractal, plane

AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]


def rimmed(cells: NDArray[np.int32], shape: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Row and column of cells numbered in the array with a rim."""
    return cells // (shape[1] + 2) - 1, cells % (shape[1] + 2) - 1


def filled_by_relaxation(z: Raster, land: Mask) -> Raster:
    """Lowest level over all ways out: Bellman-Ford, nothing in common with a flood from a queue."""
    known = np.where(land & np.isfinite(z), z, np.nan)
    level = np.where(np.isnan(known), -np.inf, np.inf)
    while True:
        padded = np.pad(level, 1, constant_values=-np.inf)
        lowest = np.min([np.roll(padded, step, axis=(0, 1)) for step in AROUND], axis=0)[1:-1, 1:-1]
        lower = np.where(np.isnan(known), level, np.maximum(known, lowest))
        if np.array_equal(lower, level):
            return np.where(np.isnan(known), np.nan, level).astype(np.float32)
        level = lower


def rough(seed: int) -> tuple[Raster, Mask]:
    """Small terrain with plateaus, pits, a void and some sea."""
    z = np.round(fractal((25, 31), seed=seed, relief_m=40.0)).astype(np.float32)
    rng = np.random.default_rng(seed)
    z[rng.integers(25), rng.integers(31)] = np.nan
    land = z > 6.0
    z[~land & np.isfinite(z)] = 0.0
    return z, land


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_depressions_are_filled_to_their_outlet(seed: int) -> None:
    z, land = rough(seed)
    np.testing.assert_array_equal(drainage(z, land, height_m=30.0, width_m=30.0).level, filled_by_relaxation(z, land))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_water_never_rises_never_cycles_and_none_is_lost(seed: int) -> None:
    z, land = rough(seed)
    flow = drainage(z, land, height_m=30.0, width_m=30.0)
    level = np.pad(flow.level, 1, constant_values=np.nan).ravel()
    place = np.full(level.size, -1)
    place[flow.order] = np.arange(flow.order.size)
    draining = flow.order[flow.receiver[flow.order] >= 0]
    assert (place[flow.receiver[draining]] < place[draining]).all()
    assert (level[flow.receiver[draining]] <= level[draining]).all()
    leaving = flow.order[flow.receiver[flow.order] < 0]
    cells = contributing_cells(flow)
    assert cells[rimmed(leaving, z.shape)].sum() == land.sum() == (cells > 0).sum()
    assert not cells[~land].any()


def test_steepest_descent_is_chosen_where_there_is_one() -> None:
    z = fractal((40, 40), seed=3, relief_m=900.0)
    flow = drainage(z, np.ones_like(z, bool), height_m=30.0, width_m=30.0)
    checked = 0
    for cell in flow.order:
        y, x = (int(v) for v in rimmed(cell, z.shape))
        if not (0 < y < 39 and 0 < x < 39):
            continue
        falls = {(dy, dx): (flow.level[y, x] - flow.level[y + dy, x + dx]) / np.hypot(dy, dx) for dy, dx in AROUND}
        if max(falls.values()) <= 0.0:
            continue
        to_y, to_x = (int(v) for v in rimmed(flow.receiver[cell], z.shape))
        assert falls[to_y - y, to_x - x] == max(falls.values())
        checked += 1
    assert checked > 1000


def test_a_basin_spills_over_its_lowest_saddle() -> None:
    z = np.full((9, 9), 50.0, np.float32)
    z[2:7, 2:7] = 10.0
    z[4, 7:] = 20.0
    flow = drainage(z, np.ones_like(z, bool), height_m=30.0, width_m=30.0)
    assert (flow.level[2:7, 2:7] == 20.0).all()
    assert contributing_cells(flow)[4, 8] >= 26


def test_a_flat_drains_whole_to_its_only_outlet() -> None:
    z = np.full((20, 20), 9.0, np.float32)
    z[1:-1, 1:-1] = 5.0
    z[10, 0] = 1.0
    cells = contributing_cells(drainage(z, np.ones_like(z, bool), height_m=30.0, width_m=30.0))
    assert cells[10, 0] >= 18 * 18 + 1


def test_the_order_of_flooding_is_by_level() -> None:
    """An independent flood from one queue pops the same levels in the same order."""
    z = fractal((30, 30), seed=8)
    flow = drainage(z, np.ones_like(z, bool), height_m=30.0, width_m=30.0)
    queue = [(z[y, x], y, x) for y in range(30) for x in range(30) if y in (0, 29) or x in (0, 29)]
    heapq.heapify(queue)
    seen = {(y, x) for _, y, x in queue}
    levels = []
    while queue:
        level, y, x = heapq.heappop(queue)
        levels.append(level)
        for dy, dx in AROUND:
            to = (y + dy, x + dx)
            if 0 <= to[0] < 30 and 0 <= to[1] < 30 and to not in seen:
                seen.add(to)
                heapq.heappush(queue, (max(level, z[to]), *to))
    np.testing.assert_array_equal(flow.level[rimmed(flow.order, z.shape)], levels)


def valley() -> Raster:
    """Two slopes of 0.3 that meet in a channel along the middle column, which falls 0.05 to the south."""
    east, north = axes((80, 61))
    return (1000.0 + 0.3 * np.abs(east) + 0.05 * north).astype(np.float32)


def test_stream_of_a_valley() -> None:
    z = valley()
    land = np.ones_like(z, bool)
    slope = slope_aspect(z, SQUARE).slope
    out = hydrology(z, land, slope, SQUARE)
    cells = contributing_cells(drainage(z, land, height_m=30.0, width_m=30.0))
    # Steepest descent on the slopes is straight to the channel: 61 cells join it in every row.
    np.testing.assert_array_equal(cells[:, 30], 61 * np.arange(1, 81))
    first = int(np.ceil(1e6 / 900.0 / 61.0)) - 1
    rows, columns = np.nonzero(out.streams)
    assert set(columns) == {30} and list(rows) == list(range(first, 80))
    tangent = np.tan(np.radians(slope[40, 10], dtype=np.float64))
    assert out.wetness[40, 10] == pytest.approx(np.log(11 * 900.0 / 30.0 / tangent), abs=1e-5)
    capped = np.log(1e6 / 30.0 / np.tan(np.radians(slope[70, 30], dtype=np.float64)))
    assert out.wetness[70, 30] == pytest.approx(capped, abs=1e-5)


def test_the_sea_takes_water_and_has_none() -> None:
    z = plane((40, 40), slope=5.0, azimuth=90.0)
    z -= z[0, 30]
    land = z > 0.0
    z[~land] = 0.0
    out = hydrology(z, land, slope_aspect(z, SQUARE).slope, SQUARE)
    assert np.isnan(out.wetness[~land]).all() and np.isfinite(out.wetness[land]).all()
    assert not out.streams[~land].any()


def test_voids_stay_void() -> None:
    z = plane((20, 20), slope=5.0, azimuth=90.0)
    z[8:10, 8:10] = np.nan
    out = hydrology(z, np.ones_like(z, bool), slope_aspect(z, SQUARE).slope, SQUARE)
    assert np.array_equal(np.isnan(out.wetness), np.isnan(z))
    assert np.array_equal(np.isnan(out.streams), np.isnan(z))
    nothing = np.full((6, 6), np.nan, np.float32)
    assert np.isnan(hydrology(nothing, np.ones_like(nothing, bool), nothing, SQUARE).wetness).all()


def test_wetness_is_bounded_on_a_constant_plain() -> None:
    z = np.full((30, 30), 100.0, np.float32)
    out = hydrology(z, np.ones_like(z, bool), np.zeros_like(z), SQUARE)
    assert np.log(30.0 / 0.001) == pytest.approx(out.wetness.min(), abs=1e-5)
    assert out.wetness.max() <= np.log(1e6 / 30.0 / 0.001)


def test_same_numbers_every_time() -> None:
    z, land = rough(77)
    one, two = (drainage(z, land, height_m=30.0, width_m=30.0) for _ in range(2))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, two, strict=True))
