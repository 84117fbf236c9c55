"""Another hazard is another table: rain-triggered landslides in a SYNTHETIC world, with nothing else changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from scipy.ndimage import minimum_filter

from headscarp.core.event import Event
from headscarp.core.grid import Extent
from headscarp.core.tiling import Window
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.rainfall import RAINFALL
from headscarp.world.generate import World, make_world

RAIN = {"rain_event", "rain_antecedent"}
STEP = 1 / 100
"""Degrees between the rain product's pixels, as a radar composite has them."""


def rain_at(longitude: np.ndarray, latitude: np.ndarray, world: World) -> np.ndarray:
    """SYNTHETIC mm: a plane over the world, so that linear interpolation gives it back exactly."""
    return 180.0 + 900.0 * (longitude - world.settings.longitude) - 400.0 * (latitude - world.settings.latitude)


def write_rain(path: Path, world: World, *, factor: float = 1.0, hole: bool = False) -> str:
    """A SYNTHETIC rain raster in degrees, wider than the world; with `hole` its eastern half is nodata."""
    size = 40
    west, north = world.settings.longitude - size / 2 * STEP, world.settings.latitude + size / 2 * STEP
    centres = (np.arange(size) + 0.5) * STEP
    rain = factor * rain_at(west + centres[None, :], north - centres[:, None], world).astype(np.float32)
    if hole:
        rain[:, size // 2 :] = -1.0
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "float32", "nodata": -1.0}
    with rasterio.open(path, "w", crs="EPSG:4326", transform=Affine(STEP, 0, west, 0, -STEP, north), **profile) as file:
        file.update_tags(SYNTHETIC="YES")
        file.write(rain, 1)
    return str(path)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(11, shape=(160, 192))


@pytest.fixture(scope="module")
def ground(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Layers of the ground, as an event folder names them."""
    folder = write_world(world, tmp_path_factory.mktemp("world") / "syn")
    return dict(read_event_folder(folder).layers)


def build(store: Path, world: World, layers: dict[str, Any]) -> Cube:
    middle = (world.settings.longitude, world.settings.latitude)
    storm = Event("storm1", "Storm over a made-up range", datetime(2024, 7, 2, tzinfo=UTC), 0.0, *middle, 0.0,
                  synthetic=True)  # fmt: skip
    return build_cube(
        LocalStore(store),
        "rain.zarr",
        event=storm,
        shaking=None,
        extent=Extent(world.grid, cut_by_shakemap_edge=False),
        table=RAINFALL,
        registry=SourceRegistry({}, {}).with_overrides(layers, others="not in the test"),
        lineage={"source": "test"},
    )


@pytest.fixture(scope="module")
def cube(world: World, ground: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Cube:
    folder = tmp_path_factory.mktemp("rain")
    rain = {"rain_event": {"href": write_rain(folder / "event.tif", world), "unit": "mm"}}
    before = {
        "rain_antecedent": {"href": write_rain(folder / "before.tif", world, factor=0.5, hole=True), "unit": "mm"}
    }
    return build(folder, world, ground | rain | before)


def whole(cube: Cube, *channels: str) -> np.ndarray:
    return cube.read(channels, Window(0, 0, *cube.grid.shape))


def test_the_ground_is_the_same_rows_and_the_trigger_is_rain_alone() -> None:
    ground = {row.name: row for row in RAINFALL if row.name not in RAIN}
    assert all(COSEISMIC[row.outputs[0]] is row for row in ground.values())
    assert {row.name for row in RAINFALL if row.per == "event"} == RAIN
    assert {row.name for row in COSEISMIC} - set(ground) == {
        "pga", "pgv", "pga_ln_std", "pgv_ln_std", "vs30", "focal_mechanism", "fault_distance",
    }  # fmt: skip
    assert not any((row.source or "").startswith("shaking.") for row in RAINFALL)
    assert RAINFALL.digest != COSEISMIC.digest
    assert {RAINFALL[name].units for name in RAIN} == {"mm"}


def test_rain_is_interpolated_onto_the_land(world: World, cube: Cube) -> None:
    rain, land = whole(cube, "rain_event", "land")
    rows, columns = np.nonzero(land == 1)
    to_degrees = Transformer.from_crs(str(cube.grid.crs), 4326, always_xy=True)
    at = to_degrees.transform(*(cube.grid.transform @ (columns + 0.5, rows + 0.5)))
    np.testing.assert_allclose(rain[land == 1], rain_at(*np.array(at), world), rtol=1e-4)
    assert np.isnan(rain[land == 0]).all()
    assert 50 < rain[land == 1].min() < rain[land == 1].max() < 500


def test_where_the_rain_product_has_none_the_channel_has_none(cube: Cube) -> None:
    rain, before, land = whole(cube, "rain_event", "rain_antecedent", "land")
    known = np.isfinite(before)
    assert 0.2 < known[land == 1].mean() < 0.8
    inland = known & minimum_filter(known | (land == 0), 61)  # a rain pixel and more from where there is none
    assert inland.sum() > 1000
    np.testing.assert_allclose(before[inland], 0.5 * rain[inland], rtol=1e-4)
    assert cube.missing == {}


def test_the_ground_is_what_it_is_for_an_earthquake(
    world: World, ground: dict[str, Any], cube: Cube, tmp_path: Path
) -> None:
    quake = build_cube(
        LocalStore(tmp_path),
        "quake.zarr",
        event=world.event,
        shaking=world.shaking,
        extent=Extent(world.grid, cut_by_shakemap_edge=False),
        table=COSEISMIC,
        registry=SourceRegistry({}, {}).with_overrides(ground, others="not in the test"),
        lineage={"source": "test"},
    )
    for row in RAINFALL:
        if row.per == "static":
            for channel in row.outputs:
                np.testing.assert_array_equal(whole(cube, channel), whole(quake, channel), err_msg=channel)


def test_a_storm_without_its_rain_says_so(world: World, ground: dict[str, Any], tmp_path: Path) -> None:
    rain = {"rain_event": {"href": write_rain(tmp_path / "event.tif", world), "unit": "mm"}}
    cube = build(tmp_path, world, ground | rain)
    assert dict(cube.missing) == {"rain_antecedent": "not in the test"}
    assert np.isnan(whole(cube, "rain_antecedent")).all()
    assert cube.attributes["headscarp:table"]["name"] == "rainfall"
    assert cube.attributes["headscarp:synthetic"] is True
