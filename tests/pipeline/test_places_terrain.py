"""Cones, islands and voids at 63 N, at the equator, in the south, across zones and days, through the whole builder.

The truth is geodesic: azimuths and distances on the ellipsoid from the tip. A zone's scale, and so
every length and gradient on the grid, is off by at most 0.3 %.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from headscarp.io.cubes.cube import Cube
from tests.pipeline.places import (
    DRY,
    PLACES,
    Field,
    Place,
    build,
    centres,
    convergence,
    read,
    rounding,
    write,
    write_point_fault,
    write_tiles,
)

SCALE = 3e-3
TANGENT = 0.5


@pytest.fixture(params=PLACES.values(), ids=PLACES.keys(), scope="module")
def cone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Cube]:
    """A mountain whose flanks fall by 1 in 2, a fault under its tip, rock in squares of a hundredth degree."""
    place: Place = request.param
    folder = tmp_path_factory.mktemp("cone")
    layers = {
        "dem": {
            "href": write_tiles(folder / "dem", place, lambda lon, lat: 2500.0 - TANGENT * place.polar(lon, lat)[1])
        },
        "faults": {"href": write_point_fault(folder / "faults.gpkg", place)},
        "lithology": {"href": write_squares(folder / "rock.tif", place), "scheme": "glim"},
    }
    return place, build(folder, place, layers, pga=rising(place))


def rising(place: Place) -> Any:
    """PGA whose logarithm is linear in longitude and latitude: exact between the nodes of a ShakeMap."""

    def pga(lon: Field, lat: Field) -> Field:
        return np.asarray(0.3 * np.exp(2.0 * (turned(lon, place) - place.longitude) + 3.0 * (lat - place.latitude)))

    return pga


def turned(longitude: Field, place: Place) -> Field:
    """Longitude counted on from the place's, past 180."""
    return longitude + 360.0 * np.round((place.longitude - longitude) / 360.0)


def squares(longitude: Field, latitude: Field) -> Field:
    """Codes 1 to 16, another in every hundredth of a degree."""
    return (np.floor(longitude * 100.0) * 3 + np.floor(latitude * 100.0) * 5) % 16 + 1


def write_squares(path: Path, place: Place) -> str:
    """A band around the whole Earth."""
    south = np.floor(place.latitude * 100.0) / 100.0 - 0.1
    transform = Affine(0.01, 0, -180.0, 0, -0.01, south + 0.2)
    lon, lat = transform * np.meshgrid(np.arange(36_000) + 0.5, np.arange(20) + 0.5)
    return write(path, squares(lon, lat).astype(np.uint8), transform)


def level(longitude: Field, latitude: Field) -> Field:
    return np.full_like(longitude + latitude, 812.0)


def northward(longitude: Field, latitude: Field) -> Field:
    """Up by 1 in 111 to the north."""
    return 500.0 + 1000.0 * latitude + 0.0 * longitude


def test_slope_and_aspect(cone: tuple[Place, Cube]) -> None:
    """0.15 degrees of slope: 0.3 % of scale is 0.07, bilinear elevations the rest; 0.6 degrees of direction."""
    place, cube = cone
    slope, east, north, elevation = read(cube, "slope", "aspect_east", "aspect_north", "elevation")
    azimuth, distance = place.polar(*centres(cube.grid))
    away = distance > 800.0
    assert np.abs(elevation - (2500.0 - TANGENT * distance))[away].max() < 0.1 + rounding("elevation")
    assert np.abs(slope[away] - np.degrees(np.arctan(TANGENT))).max() < 0.15
    towards = azimuth - convergence(cube.grid, *centres(cube.grid))
    turn = np.degrees(np.arctan2(east, north)) - towards
    assert np.abs((turn[away] + 180.0) % 360.0 - 180.0).max() < 0.6


def test_curvature(cone: tuple[Place, Cube]) -> None:
    """A cone bends along its contours only: tangent / (distance sqrt(1 + tangent^2)); 2e-3 of 0.01 / m."""
    place, cube = cone
    plan, profile = read(cube, "plan_curvature", "profile_curvature")
    _, distance = place.polar(*centres(cube.grid))
    away = (distance > 800.0) & (distance < 2800.0)
    expected = 100.0 * TANGENT / (distance * np.sqrt(1.0 + TANGENT**2))
    assert np.abs(plan - expected)[away].max() < 2e-3 + rounding("plan_curvature")
    assert np.abs(profile[away]).max() < 2e-3 + rounding("profile_curvature")


def test_relief_and_position_grow_with_the_gradient(cone: tuple[Place, Cube]) -> None:
    """Due east of the tip a square of 67 pixels spans 66 of them along the fall line, and a little across it."""
    place, cube = cone
    relief, position = read(cube, "relief", "tpi")
    x, y = place.metric
    column, row = (int(v) for v in ~cube.grid.transform * (x, y))
    d = 1500.0
    across = np.hypot(d + 990.0, 990.0) - (d - 990.0)
    assert relief[row, column + 50] == pytest.approx(TANGENT * across, rel=0.01)
    # Mean distance over a disc of radius r at d is d + r^2 / 8 d: a cone lies above its tangent plane's mean.
    assert position[row, column + 50] == pytest.approx(TANGENT * 300.0**2 / (8 * d), rel=0.05)


def test_distance_to_the_fault(cone: tuple[Place, Cube]) -> None:
    place, cube = cone
    (found,) = read(cube, "fault_distance")
    _, distance = place.polar(*centres(cube.grid))
    np.testing.assert_allclose(found, distance, rtol=SCALE, atol=0.2 + rounding("fault_distance"))


def test_shaking(cone: tuple[Place, Cube]) -> None:
    place, cube = cone
    (pga,) = read(cube, "pga")
    np.testing.assert_allclose(pga, rising(place)(*centres(cube.grid)), rtol=1e-4)


def test_rock_is_that_of_the_square(cone: tuple[Place, Cube]) -> None:
    """Everywhere but within 3 m of the border of two squares."""
    _, cube = cone
    (rock,) = read(cube, "lithology")
    lon, lat = centres(cube.grid)
    sure = np.ones(rock.shape, bool)
    for angle in (lon, lat):
        sure &= np.abs((angle * 100.0 + 0.5) % 1.0 - 0.5) > 3e-3
    assert sure.mean() > 0.95
    np.testing.assert_array_equal(rock[sure], squares(lon, lat)[sure])


@pytest.mark.parametrize("name", ["63 N, on a border of zones", "antimeridian", "southern hemisphere"])
def test_an_island_ends_at_its_shore(name: str, tmp_path: Path) -> None:
    """A cone of 400 m that enters the sea at 2 km."""
    place, shore = PLACES[name], 2000.0

    def island(lon: Field, lat: Field) -> Field:
        return np.maximum(0.2 * (shore - place.polar(lon, lat)[1]), 0.0)

    dem = {"href": write_tiles(tmp_path / "dem", place, island, reach_m=4500.0), "absent_tile": "sea"}
    cube = build(tmp_path, place, {"dem": dem})
    land, slope, elevation, pga, relief = read(cube, "land", "slope", "elevation", "pga", "relief")
    _, distance = place.polar(*centres(cube.grid))
    assert set(np.unique(land)) == {0.0, 1.0}
    assert (land[distance < shore - 25.0] == 1).all() and (land[distance > shore + 25.0] == 0).all()
    assert cube.attributes["headscarp:land_km2"] == pytest.approx(np.pi * (shore / 1000.0) ** 2, rel=2 * SCALE)
    assert not elevation[land == 0].any()
    assert np.isnan(slope[land == 0]).all() and np.isnan(pga[land == 0]).all()
    assert np.isfinite(relief[land == 1]).all()
    dry = (distance > 300.0) & (distance < shore - 100.0)
    assert np.abs(slope[dry] - np.degrees(np.arctan(0.2))).max() < 0.15


def test_voids_stay_voids(tmp_path: Path) -> None:
    """A hole of 12 pixels stays one, in slope, in relief, around it in curvature; one of 4 pixels is filled."""
    place = PLACES["southern hemisphere"]

    def holed(lon: Field, lat: Field) -> Field:
        z = 2500.0 - TANGENT * place.polar(lon, lat)[1]
        east, north = (lon - place.longitude) * 3600.0, (lat - place.latitude) * 3600.0
        z[(np.abs(east - 40.0) < 6.0) & (np.abs(north - 30.0) < 6.0)] = -9999.0
        z[(np.abs(east + 40.0) < 2.0) & (np.abs(north - 30.0) < 2.0)] = -9999.0
        return z

    cube = build(tmp_path, place, {"dem": {"href": write_tiles(tmp_path / "dem", place, holed)}})
    elevation, land, slope, relief, bend = read(cube, "elevation", "land", "slope", "relief", "plan_curvature")
    void = np.isnan(elevation)
    lon, lat = centres(cube.grid)
    east, north = (lon - place.longitude) * 3600.0, (lat - place.latitude) * 3600.0
    hole = (np.abs(east - 40.0) < 5.5) & (np.abs(north - 30.0) < 5.5)
    assert void[hole].all() and not void[(np.abs(east - 40.0) > 7.0) | (np.abs(north - 30.0) > 7.0)].any()
    np.testing.assert_array_equal(np.isnan(land), void)
    np.testing.assert_array_equal(np.isnan(slope), void)
    np.testing.assert_array_equal(np.isnan(relief), void)
    near = np.maximum(np.abs(east - 40.0) * np.cos(np.radians(place.latitude)), np.abs(north - 30.0)) < 8.0
    assert np.isnan(bend[near]).all() and np.isfinite(bend[east < 0.0]).all()
    filled = (np.abs(east + 40.0) < 3.0) & (np.abs(north - 30.0) < 3.0)
    assert np.abs(slope[filled] - np.degrees(np.arctan(TANGENT))).max() < 15.0


def test_a_plain_has_no_shape(tmp_path: Path) -> None:
    place = PLACES["equator"]
    dem = {"href": write_tiles(tmp_path / "dem", place, level)}
    cube = build(tmp_path, place, {"dem": dem})
    for channel in (
        "slope",
        "aspect_east",
        "aspect_north",
        "relief",
        "roughness",
        "plan_curvature",
        "profile_curvature",
    ):
        assert np.abs(read(cube, channel)).max() <= rounding(channel), channel
    assert np.abs(read(cube, "tpi")).max() < 1e-3 + rounding("tpi")


def test_classes_outside_the_legend_are_unknown_and_counted(tmp_path: Path) -> None:
    """Between its first and last code WorldCover has gaps: 42 is none of its classes, nor is 17 of GLiM's."""
    place = PLACES["equator"]
    transform = Affine(1 / 3600, 0, place.longitude - 0.1, 0, -1 / 3600, 0.1)
    cover, rock = np.full((720, 720), 10, np.uint8), np.full((720, 720), 5, np.uint8)
    cover[:360], rock[:, :360] = 42, 17
    layers = {
        "dem": {"href": write_tiles(tmp_path / "dem", place, northward)},
        "land_cover": {
            "href": write(tmp_path / "cover.tif", cover, transform),
            "scheme": "worldcover",
            "epoch": "2019",
        },
        "lithology": {"href": write(tmp_path / "rock.tif", rock, transform), "scheme": "glim"},
    }
    cube = build(tmp_path, place, layers)
    found, code = read(cube, "land_cover", "lithology")
    lon, lat = centres(cube.grid)
    assert np.isnan(found[lat > 1e-4]).all() and (found[lat < -1e-4] == 10).all()
    assert np.isnan(code[lon < place.longitude - 1e-4]).all() and (code[lon > place.longitude + 1e-4] == 5).all()
    rejected = cube.attributes["headscarp:rejected_pixels"]
    # Blocks reach past the event grid, and count all that they refuse.
    assert rejected["land_cover"] >= np.isnan(found).sum()
    assert rejected["lithology"] >= np.isnan(code).sum()


@pytest.mark.parametrize(
    ("epoch", "refused"), [("2019", False), ("2020-04-30", False), ("2020-05-01", True), ("2020", True), ("2021", True)]
)
def test_what_may_show_the_scars_is_refused(tmp_path: Path, epoch: str, refused: bool) -> None:
    """The quake is of 2020-05-01: cover and greenness from after it are left out, elevation is flagged."""
    place = PLACES["equator"]
    transform = Affine(1 / 3600, 0, place.longitude - 0.1, 0, -1 / 3600, 0.1)
    cover, green = np.full((720, 720), 10, np.uint8), np.full((720, 720), 0.5, np.float32)
    dem = write_tiles(tmp_path / "dem", place, northward)
    layers = {
        "dem": {"href": dem, "epoch": epoch},
        "land_cover": {"href": write(tmp_path / "cover.tif", cover, transform), "scheme": "worldcover", "epoch": epoch},
        "ndvi": {"href": write(tmp_path / "green.tif", green, transform), "epoch": epoch},
    }
    cube = build(tmp_path, place, layers, table=DRY, half_m=600.0)
    assert ("land_cover" in cube.missing) is ("ndvi" in cube.missing) is refused
    for channel, value in (("land_cover", 10.0), ("ndvi", 0.5)):
        assert np.isnan(read(cube, channel)).all() if refused else (read(cube, channel) == value).all()
        assert not refused or f"observed {epoch}, not before" in cube.missing[channel]
    assert cube.attributes["headscarp:dem_after_event"] is refused
    assert np.isfinite(read(cube, "slope")).all()
