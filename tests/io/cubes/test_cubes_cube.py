"""The cube: written block by block, opened by ourselves, by xarray and by rioxarray."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS

from headscarp.core.tiling import YX, Window, blocks
from headscarp.errors import InvalidInput, NotFound
from headscarp.io.cubes.cube import SHARD, Cube
from headscarp.io.store import LocalStore
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.legends import GLIM

GRID = GeoBox(wh_(2100, 2500), Affine(30, 0, 440_010, 0, -30, 4_300_020), "EPSG:32634")
KEY = "cubes/us1000/run.zarr"


def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    slope = rng.uniform(0, 60, GRID.shape).astype(np.float32)
    slope[:300] = np.nan
    lithology = rng.integers(0, 17, GRID.shape).astype(np.uint8)
    return {"slope": slope, "lithology": lithology}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    store = LocalStore(tmp_path_factory.mktemp("store"))
    cube = Cube.create(store, KEY, GRID, COSEISMIC, {"title": "a cube", "headscarp:synthetic": True})
    full = values()
    for window in blocks(YX(*GRID.shape), SHARD):
        cube.write(window, {name: array[window.slices] for name, array in full.items()})
    cube.finish({"headscarp:missing": {"soil": "no soil here"}})
    return store


def test_what_was_written_is_read(store: LocalStore) -> None:
    cube = Cube.open(store, KEY)
    full = values()
    stack = cube.read(("lithology", "slope", "soil"), Window(0, 0, *GRID.shape))
    np.testing.assert_array_equal(stack[1], full["slope"])
    known = full["lithology"] != 0
    np.testing.assert_array_equal(stack[0][known], full["lithology"][known])
    assert np.isnan(stack[0][~known]).all()
    assert np.isnan(stack[2]).all()
    assert cube.grid == GRID
    assert cube.channels == COSEISMIC.channels
    assert cube.missing == {"soil": "no soil here"}
    assert cube.attributes["headscarp:table"]["digest"] == COSEISMIC.digest


def test_windows_may_reach_outside(store: LocalStore) -> None:
    cube = Cube.open(store, KEY)
    (slope,) = cube.read(("slope",), Window(2400, 2000, 448, 448))
    np.testing.assert_array_equal(slope[:100, :100], values()["slope"][2400:, 2000:])
    assert np.isnan(slope[100:]).all()
    assert np.isnan(slope[:, 100:]).all()
    assert np.isnan(cube.read(("slope",), Window(-500, -500, 448, 448))).all()


def test_unknown_channels_are_refused(store: LocalStore) -> None:
    with pytest.raises(InvalidInput, match="snow_depth"):
        Cube.open(store, KEY).read(("slope", "snow_depth"), Window(0, 0, 4, 4))


def test_plain_xarray_and_rioxarray_know_where_it_lies(store: LocalStore) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        cube = xr.open_zarr(store.zarr(KEY, read_only=True), chunks=None)
    assert CRS.from_user_input(cube.rio.crs) == CRS.from_epsg(32634)
    assert cube.rio.transform().almost_equals(GRID.transform)
    assert cube.rio.bounds() == pytest.approx(GRID.boundingbox.bbox)
    assert cube["slope"].rio.crs is not None
    assert cube["slope"].attrs["units"] == "degree"
    assert cube["slope"].attrs["headscarp:role"] == "feature"
    assert float(cube["x"][0]) == 440_025
    assert float(cube["y"][0]) == 4_300_005
    np.testing.assert_array_equal(cube["slope"].values, values()["slope"])
    flags = dict(
        zip(cube["lithology"].attrs["flag_values"], cube["lithology"].attrs["flag_meanings"].split(), strict=True)
    )
    assert set(flags) == {0, *GLIM}
    assert flags[0] == "unknown"


def test_layout_is_as_declared(store: LocalStore) -> None:
    root = json.loads(store.read(f"{KEY}/zarr.json"))
    assert root["zarr_format"] == 3
    slope = root["consolidated_metadata"]["metadata"]["slope"]
    assert slope["dimension_names"] == ["y", "x"]
    assert slope["chunk_grid"]["configuration"]["chunk_shape"] == [2048, 2048]
    assert slope["codecs"][0]["configuration"]["chunk_shape"] == [512, 512]
    assert (root["attributes"]["proj:code"], root["attributes"]["spatial:shape"]) == ("EPSG:32634", [2500, 2100])
    files = list(store.list(f"{KEY}/slope/c/"))
    assert len(files) == 4
    assert not list(store.list(f"{KEY}/soil/c/"))


def test_finished_cubes_are_immutable(store: LocalStore) -> None:
    with pytest.raises(InvalidInput, match="never rewritten"):
        Cube.create(store, KEY, GRID, COSEISMIC, {})


def test_unfinished_cubes_are_not_there_and_are_replaced(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(NotFound, match="no cube"):
        Cube.open(store, KEY)
    first = Cube.create(store, KEY, GRID, COSEISMIC, {"headscarp:run": 1})
    first.write(Window(0, 0, SHARD, SHARD), {"slope": np.ones((SHARD, SHARD), np.float32)})
    with pytest.raises(NotFound, match="never finished"):
        Cube.open(store, KEY)
    Cube.create(store, KEY, GRID, COSEISMIC, {"headscarp:run": 2}).finish({})
    again = Cube.open(store, KEY)
    assert again.attributes["headscarp:run"] == 2
    assert np.isnan(again.read(("slope",), Window(0, 0, 100, 100))).all()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    Cube.create(store, KEY, GRID, COSEISMIC, {}).finish({"headscarp:cube_format": 99})
    with pytest.raises(InvalidInput, match="expected format 1, found 99"):
        Cube.open(store, KEY)


@pytest.mark.parametrize("window", [Window(0, 0, 512, 512), Window(100, 0, 2048, 2048), Window(2048, 0, 400, 2048)])
def test_blocks_must_be_whole_shards(tmp_path: Path, window: Window) -> None:
    cube = Cube.create(LocalStore(tmp_path), KEY, GRID, COSEISMIC, {})
    with pytest.raises(ValueError, match="not aligned"):
        cube.write(window, {"slope": np.zeros((window.height, window.width), np.float32)})
