"""Drainage against morphological reconstruction, brute-force walks and landforms with known water."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headscarp.core.pci.depressions import FLAT, LEAVES, VOID
from headscarp.core.pci.flow import AROUND, Flow, contributing_cells, drainage
from headscarp.core.pci.hydrology import hydrology
from headscarp.core.pci.terrain import terrain
from headscarp.core.types import Mask, Raster
from tests.core.pci.landforms import SQUARE, axes, fractal, plane


def downstream(flow: Flow) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the cells that drain to another one, and of that one."""
    y, x = np.nonzero(flow.directions < FLAT)
    step = np.array(AROUND)[flow.directions[y, x]]
    return y, x, y + step[:, 0], x + step[:, 1]


def walks(flow: Flow) -> NDArray[np.int64]:
    """(y, x) cells on the way from each cell to where water leaves, by pointer doubling; fails on a circle."""
    rows, columns = flow.level.shape
    towards, length = np.arange(rows * columns), (flow.directions != VOID).astype(np.int64).ravel()
    y, x, to_y, to_x = downstream(flow)
    last = np.ones(rows * columns, bool)
    last[y * columns + x] = False
    towards[y * columns + x] = to_y * columns + to_x
    for _ in range(int(np.ceil(np.log2(rows * columns))) + 1):
        length = length + np.where(last, 0, length[towards])
        last, towards = last | last[towards], towards[towards]
    assert last.all()
    return length.reshape(rows, columns)


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
    y, x, to_y, to_x = downstream(flow)
    assert (flow.level[to_y, to_x] <= flow.level[y, x]).all()
    assert np.array_equal(flow.directions == VOID, ~land)
    cells, leaving = contributing_cells(flow), flow.directions == LEAVES
    assert cells[leaving].sum() == land.sum() == (cells > 0).sum()
    assert walks(flow).sum() == cells.sum()


def test_steepest_descent_is_chosen_where_there_is_one() -> None:
    z = fractal((40, 40), seed=3, relief_m=900.0)
    flow = drainage(z, np.ones_like(z, bool), height_m=30.0, width_m=30.0)
    checked = 0
    for y, x, to_y, to_x in zip(*downstream(flow), strict=True):
        if not (0 < y < 39 and 0 < x < 39):
            continue
        falls = {s: (np.float64(flow.level[y, x]) - flow.level[y + s[0], x + s[1]]) / np.hypot(*s) for s in AROUND}
        if max(falls.values()) > 0.0:
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


def test_a_flat_drains_the_shortest_way_to_the_nearest_of_its_outlets() -> None:
    """Rings of eight-neighbours around two gaps in the rim: no cell goes a step further than it must."""
    z = np.full((30, 41), 9.0, np.float32)
    z[1:-1, 1:-1] = 5.0
    outlets = [(12, 0), (25, 40)]
    for y, x in outlets:
        z[y, x] = 1.0
    flow = drainage(z, np.ones_like(z, bool), height_m=30.0, width_m=30.0)
    y, x = np.mgrid[1:29, 1:40]
    away = np.min([np.maximum(abs(y - oy), abs(x - ox)) for oy, ox in outlets], axis=0)
    np.testing.assert_array_equal(walks(flow)[1:-1, 1:-1], away + 1)


def test_basins_within_basins_spill_one_into_the_other() -> None:
    """A chain of pools behind sills of growing height: each is filled to the highest sill below it."""
    z = np.full((5, 42), 100.0, np.float32)
    pools, sills = list(range(2, 40, 4)), [30.0, 12.0, 45.0, 20.0, 60.0, 10.0, 70.0, 15.0, 80.0, 5.0]
    z[2, 0] = 1.0
    for pool, sill in zip(pools, sills, strict=True):
        z[2, pool - 1 : pool + 3] = 2.0
        z[2, pool - 1] = sill
    level = drainage(z, np.ones_like(z, bool), height_m=30.0, width_m=30.0).level
    np.testing.assert_array_equal(level[2, pools], np.maximum.accumulate(sills))


def valley() -> Raster:
    """Two slopes of 0.3 that meet in a channel along the middle column, which falls 0.05 to the south."""
    east, north = axes((80, 61))
    return (1000.0 + 0.3 * np.abs(east) + 0.05 * north).astype(np.float32)


def test_stream_of_a_valley() -> None:
    z = valley()
    land = np.ones_like(z, bool)
    slope = terrain(z, SQUARE).slope
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
    out = hydrology(z, land, terrain(z, SQUARE).slope, SQUARE)
    assert np.isnan(out.wetness[~land]).all() and np.isfinite(out.wetness[land]).all()
    assert not out.streams[~land].any()


def test_voids_stay_void() -> None:
    z = plane((20, 20), slope=5.0, azimuth=90.0)
    z[8:10, 8:10] = np.nan
    out = hydrology(z, np.ones_like(z, bool), terrain(z, SQUARE).slope, SQUARE)
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
