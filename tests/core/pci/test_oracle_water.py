"""Wetness, channels and distances to them on real terrain, against pyflwdir and scipy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyflwdir
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from headscarp.core.pci.flow import drainage
from headscarp.core.pci.kernels import KERNELS, RIVER_LIMIT_M
from headscarp.core.types import Mask, Raster
from tests.core.pci.real_terrain import PLACES, RealTerrain, real_terrain

NODATA, BEYOND = -9999.0, 1e9
EIGHT = {(-1, -1): 32, (-1, 0): 64, (-1, 1): 128, (0, -1): 16, (0, 1): 1, (1, -1): 8, (1, 0): 4, (1, 1): 2}
"""pyflwdir's codes by step, rows first."""
UNDECIDED = 255
CHANNEL_M2 = 1e6


class Water(NamedTuple):
    """Cells that drain through each: by steepest descent, and as pyflwdir routes."""

    steepest: NDArray[np.int64]
    flooded: NDArray[np.int64]
    undecided: Mask
    """Downstream of a flat: how water crosses one is each program's own choice."""
    level: Raster
    """Elevation with depressions filled."""
    land: Mask


@cache
def by_pyflwdir(shared_data: Path, name: str) -> Water:
    """pyflwdir fills (Wang and Liu) and accumulates; steepest descent over what it filled is numpy's.

    pyflwdir itself sends water to the neighbour that was flooded first, which is the lowest one
    whatever its distance: its own routing is close to steepest descent, not equal.
    """
    place = real_terrain(shared_data, name)
    land = place.land & np.isfinite(place.elevation)
    filled, flood = pyflwdir.dem.fill_depressions(np.where(land, place.elevation, NODATA), nodata=NODATA)
    surface = np.where(land, _nearest(filled, place.elevation), np.nan_to_num(place.elevation, nan=BEYOND))
    directions = _steepest(surface, land, place)
    flat = land & (directions == UNDECIDED)
    routed = np.where(land, np.where(flat, flood, directions), 247).astype(np.uint8)
    steepest, flooded = (pyflwdir.from_array(d8, ftype="d8", cache=False) for d8 in (routed, flood))
    undecided = np.asarray(steepest.accuflux(flat.astype(np.float32)) > 0.0)
    return Water(steepest.upstream_area("cell"), flooded.upstream_area("cell"), undecided, surface, land)


def _nearest(filled: Raster, z: Raster) -> Raster:
    """The level of a filled depression is the elevation of its outlet: undo pyflwdir's rounding."""
    levels = np.unique(z[np.isfinite(z)])
    above = np.clip(np.searchsorted(levels, filled), 1, len(levels) - 1)
    low, high = levels[above - 1], levels[above]
    return np.where(filled - low < high - filled, low, high)


def _steepest(surface: NDArray[np.float32], land: Mask, place: RealTerrain) -> NDArray[np.int_]:
    """Code of the steepest way down, 0 into the sea, `UNDECIDED` where nothing is lower."""
    padded, shore = np.pad(surface, 1, constant_values=BEYOND), np.pad(~land & (surface < BEYOND), 1)
    rows, columns = surface.shape
    falls, seaward = [], []
    for y, x in EIGHT:
        across = np.hypot(y * place.pixel.y, x * place.pixel.x)
        there = (slice(1 + y, 1 + y + rows), slice(1 + x, 1 + x + columns))
        falls.append((surface.astype(float) - padded[there]) / across)
        seaward.append(shore[there])
    best = np.argmax(falls, axis=0)[None]
    code = np.where(np.take_along_axis(np.array(seaward), best, 0)[0], 0, np.array(list(EIGHT.values()))[best[0]])
    return np.where(np.take_along_axis(np.array(falls), best, 0)[0] > 0.0, code, UNDECIDED)


@cache
def ours(shared_data: Path, name: str) -> dict[str, Raster]:
    """What the table derives from the same terrain: slope, then wetness and channels, then distance."""
    place = real_terrain(shared_data, name)
    known = {"elevation": place.elevation, "land": place.land.astype(np.float32)}
    for kernel in ("terrain", "hydrology", "river_distance"):
        known |= KERNELS[kernel].function(known, place.grid)
    return known


@pytest.mark.parametrize("name", PLACES)
def test_depressions_are_filled_as_high(shared_data: Path, name: str) -> None:
    """0.1 mm: the level is the elevation of the outlet, of which pyflwdir loses the last bit."""
    place, water = real_terrain(shared_data, name), by_pyflwdir(shared_data, name)
    level = drainage(place.elevation, place.land, height_m=place.pixel.y, width_m=place.pixel.x).level
    assert (water.level > place.elevation + 0.1)[water.land].sum() > 1000
    np.testing.assert_allclose(level[water.land], water.level[water.land], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(np.isnan(level), ~water.land)


@pytest.mark.parametrize(
    ("name", "decided", "same", "share"),
    [("kashmir", 0.98, 0.9999, 0.998), ("gorkha", 0.97, 0.9999, 0.996), ("lefkada", 0.8, 0.995, 0.9)],
)
def test_wetness(shared_data: Path, name: str, decided: float, same: float, share: float) -> None:
    """Equal to 1e-4 (single precision) wherever no flat lies upstream.

    That is: in pyflwdir's flow. On Lefkada a ninth of the land is flat, and half a percent of the
    rest lies below flats that drain elsewhere in ours.
    """
    place, water, found = real_terrain(shared_data, name), by_pyflwdir(shared_data, name), ours(shared_data, name)
    area = np.minimum(water.steepest * place.pixel.area_m2, CHANNEL_M2)
    tangent = np.maximum(np.tan(np.radians(found["slope"].astype(float))), 0.001)
    known = water.land & np.isfinite(found["slope"])
    off = np.abs(found["twi"] - np.log(area / place.pixel.mean / tangent, where=known, out=np.zeros(known.shape)))
    sure = known & ~water.undecided
    assert sure[known].mean() > decided
    assert (off[sure] < 1e-4).mean() > same
    assert (off[known] < 1e-4).mean() > share
    np.testing.assert_array_equal(np.isnan(found["twi"]), ~water.land)


def share_beside(one: Mask, other: Mask) -> float:
    """Share of `one` that lies on `other` or beside it."""
    return float(ndimage.binary_dilation(other, np.ones((3, 3)))[one].mean())


@pytest.mark.parametrize(
    ("name", "same", "near"),
    [("kashmir", 0.97, 0.98), ("gorkha", 0.94, 0.9), ("lefkada", 0.76, 0.82)],
)
def test_channels(shared_data: Path, name: str, same: float, near: float) -> None:
    """Of steepest descent the same pixels but on flats, of pyflwdir's own routing the same valleys to a pixel.

    A ninth of Lefkada is flat: plains and lagoons at sea level.
    """
    place, water = real_terrain(shared_data, name), by_pyflwdir(shared_data, name)
    channels = ours(shared_data, name)["streams"] == 1.0
    by_steepest, by_flood = (
        (cells * place.pixel.area_m2 >= CHANNEL_M2) & water.land for cells in (water.steepest, water.flooded)
    )
    sure = ~water.undecided
    assert (channels == by_steepest)[sure].mean() > 0.9999
    assert (channels & by_steepest).sum() > same * (channels | by_steepest).sum()
    for theirs in (by_steepest, by_flood):
        assert share_beside(channels, theirs) > near and share_beside(theirs, channels) > near


@pytest.mark.parametrize("name", PLACES)
def test_distance_to_rivers(shared_data: Path, name: str) -> None:
    """1 cm: squared distances of up to 5 km are summed in double precision and kept in single."""
    place, found = real_terrain(shared_data, name), ours(shared_data, name)
    channels = found["streams"] == 1.0
    expected = np.minimum(ndimage.distance_transform_edt(~channels, sampling=place.pixel), RIVER_LIMIT_M)
    expected[np.isnan(place.elevation)] = np.nan
    np.testing.assert_allclose(found["river_distance"], expected, atol=0.01)


@pytest.mark.parametrize("name", PLACES)
def test_distance_to_the_rivers_of_pyflwdir(shared_data: Path, name: str) -> None:
    """Half of all pixels within a pixel, nine of ten within 250 m: where a channel begins is what differs."""
    place, found, water = real_terrain(shared_data, name), ours(shared_data, name), by_pyflwdir(shared_data, name)
    theirs = (water.flooded * place.pixel.area_m2 >= CHANNEL_M2) & water.land
    expected = np.minimum(ndimage.distance_transform_edt(~theirs, sampling=place.pixel), RIVER_LIMIT_M)
    off = np.abs(found["river_distance"] - expected)[water.land]
    assert np.quantile(off, 0.5) < 30.0 and np.quantile(off, 0.9) < 250.0
