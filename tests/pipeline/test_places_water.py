"""Water with known answers at 63 N, at the equator, in the south and across zones: valleys, lakes, plains, islets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headscarp.io.cubes.cube import Cube
from tests.pipeline.places import GEOD, PLACES, WATER, Field, Place, build, centres, read, rounding, write_tiles

CHANNEL_M2, PIXEL_M, LEAST_TANGENT = 1e6, 30.0, 0.001
HIGHEST = np.log(CHANNEL_M2 / PIXEL_M / LEAST_TANGENT) + rounding("twi")
LOWEST_FLAT = np.log(PIXEL_M / LEAST_TANGENT) - rounding("twi")
LOWEST = np.log(PIXEL_M) - rounding("twi")
"""Of one pixel on ground that falls 1 in 1; nothing here is steeper."""


def east_of(place: Place, longitude: Field, latitude: Field) -> Field:
    """Metres from the place's meridian along the parallel, east positive."""
    turned = (longitude - place.longitude + 180.0) % 360.0 - 180.0
    return np.sign(turned) * GEOD.inv(np.zeros_like(turned), latitude, turned, latitude)[2]


def north_of(place: Place, longitude: Field, latitude: Field) -> Field:
    """Metres from the place's parallel along the meridian, north positive."""
    start = np.full_like(latitude, place.latitude)
    return np.sign(latitude - start) * GEOD.inv(longitude, start, longitude, latitude)[2]


def water_cube(folder: Path, place: Place, dem: dict[str, str], *, key: str = "c.zarr", workers: int = 2) -> Cube:
    return build(folder, place, {"dem": dem}, table=WATER, key=key, workers=workers)


@pytest.mark.parametrize("name", PLACES)
def test_valley_along_a_meridian(name: str, tmp_path: Path) -> None:
    """Flanks of 3 in 10 that meet in a channel falling 1 in 20 southwards; rivers are as far as the meridian is.

    One pixel of distance: the channel is drawn in pixels, and a meridian is no column of the grid.
    """
    place = PLACES[name]

    def valley(lon: Field, lat: Field) -> Field:
        return np.asarray(1000.0 + 0.3 * np.abs(east_of(place, lon, lat)) + 0.05 * north_of(place, lon, lat))

    cube = water_cube(tmp_path, place, {"href": write_tiles(tmp_path / "dem", place, valley)})
    twi, streams, distance = read(cube, "twi", "streams", "river_distance")
    east, north = east_of(place, *centres(cube.grid)), north_of(place, *centres(cube.grid))
    south = (north < 1500.0) & (north > -2700.0)
    assert np.abs(east[(streams == 1) & south]).max() < 1.5 * PIXEL_M
    lines = [(streams[row] == 1).sum() for row in np.flatnonzero(south.all(axis=1))]
    assert min(lines) >= 1 and max(lines) <= 3
    inner = south & (np.abs(east) < 2000.0) & (np.abs(north) < 1000.0)
    assert np.abs(distance - np.abs(east))[inner].max() < 1.1 * PIXEL_M
    assert np.isfinite(twi).all() and twi.max() <= HIGHEST and twi.min() > LOWEST


@pytest.mark.parametrize("name", ["63 N, on a border of zones", "southern hemisphere", "antimeridian"])
def test_a_lake_drains_over_its_lowest_shore(name: str, tmp_path: Path) -> None:
    """A lake of 1 km radius in a slope of 1 in 25 to the south: a river leaves it at its southernmost point.

    Nothing but the lake's 3.1 km2 makes a river here: a column of the slope holds 0.2 km2. If water
    went in circles on the lake, none would leave it.
    """
    place, radius = PLACES[name], 1000.0

    def slope_with_lake(lon: Field, lat: Field) -> Field:
        z = 1000.0 + 0.04 * north_of(place, lon, lat)
        return np.where(place.polar(lon, lat)[1] < radius, 1000.0 - 0.04 * radius - 3.0, z)

    cube = water_cube(tmp_path, place, {"href": write_tiles(tmp_path / "dem", place, slope_with_lake)})
    twi, streams, distance, slope = read(cube, "twi", "streams", "river_distance", "slope")
    lon, lat = centres(cube.grid)
    east, north = east_of(place, lon, lat), north_of(place, lon, lat)
    below = (north < -radius - 200.0) & (north > -2700.0)
    lines = [np.flatnonzero(streams[row] == 1) for row in np.flatnonzero(below.all(axis=1))]
    assert all(line.size >= 1 and np.ptp(line) == line.size - 1 for line in lines), "one river, without a gap"
    # It leaves within the stretch of shore that is as low as the lowest pixel of it.
    assert np.abs(east[(streams == 1) & below]).max() < 350.0
    assert not streams[(north > radius + 200.0) | (np.abs(east) > radius + 200.0)].any()
    assert np.isfinite(twi).all() and np.isfinite(distance).all()
    river = (streams == 1) & below
    expected = np.log(CHANNEL_M2 / PIXEL_M / np.tan(np.radians(slope[river])))
    np.testing.assert_allclose(twi[river], expected, atol=1e-4 + 2 * rounding("twi"))
    lake = place.polar(lon, lat)[1] < radius - 100.0
    assert not slope[lake].any()
    assert twi[lake].min() >= LOWEST_FLAT and twi.max() <= HIGHEST


def test_a_plain_drains_without_a_slope(tmp_path: Path) -> None:
    """On dead level ground water goes somewhere from everywhere, and always the same way."""
    place = PLACES["equator"]
    dem = {"href": write_tiles(tmp_path / "dem", place, lambda lon, lat: 812.0 + 0.0 * (lon + lat))}
    one = water_cube(tmp_path / "one", place, dem, workers=1)
    two = water_cube(tmp_path / "two", place, dem, workers=3)
    channels = ("twi", "streams", "river_distance", "slope")
    for channel, first, second in zip(channels, read(one, *channels), read(two, *channels), strict=True):
        assert np.isfinite(first).all(), channel
        np.testing.assert_array_equal(first, second, err_msg=channel)
    twi = read(one, "twi")
    assert twi.min() >= LOWEST_FLAT and twi.max() <= HIGHEST


def test_an_islet_has_no_river(tmp_path: Path) -> None:
    """0.8 km2 of land: wet, but with no channel, and every pixel as far from one as is counted."""
    place, shore = PLACES["antimeridian"], 500.0

    def islet(lon: Field, lat: Field) -> Field:
        return np.maximum(0.3 * (shore - place.polar(lon, lat)[1]), 0.0)

    tiles = {"href": write_tiles(tmp_path / "dem", place, islet, reach_m=3000.0), "absent_tile": "sea"}
    cube = water_cube(tmp_path, place, tiles)
    land, twi, streams, distance = read(cube, "land", "twi", "streams", "river_distance")
    on_land = land == 1
    assert cube.attributes["headscarp:land_km2"] == pytest.approx(0.785, abs=0.03)
    assert np.isfinite(twi[on_land]).all() and np.isnan(twi[~on_land]).all()
    assert not streams[on_land].any()
    assert (distance[on_land] == 5000.0).all()
