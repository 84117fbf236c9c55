"""The cube of an event: its own channels, and blocks of the lattice, written once and read by anyone's tools."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS

from headscarp.core.lattice import ZoneLattice
from headscarp.core.tiling import YX, Window, blocks
from headscarp.errors import InvalidInput, NotFound
from headscarp.io.cubes.cube import LATTICE, Cube
from headscarp.io.cubes.lattice import BlockRecord, ChannelRecord, LatticeGroup
from headscarp.io.cubes.variables import SHARD, Encoding
from headscarp.io.cubes.view import StaticView
from headscarp.io.store import LocalStore
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.legends import GLIM

GRID = GeoBox(wh_(2100, 2500), Affine(30, 0, 440_010, 0, -30, 4_300_020), "EPSG:32634")
ZONE = ZoneLattice(32634)
BLOCKS = ZONE.blocks_under(GRID)
KEY = "cubes/us1000/run.zarr"
STEP = COSEISMIC["slope"].precision or 0.0


def ground() -> dict[str, np.ndarray]:
    """Static values over the grid; what no block holds lies in its south."""
    rng = np.random.default_rng(0)
    slope = rng.uniform(0, 60, GRID.shape).astype(np.float32)
    slope[:300] = np.nan
    lithology = rng.integers(0, 17, GRID.shape).astype(np.uint8)
    return {"slope": slope, "lithology": lithology}


def pga() -> np.ndarray:
    values = np.random.default_rng(1).uniform(0.02, 1.0, GRID.shape).astype(np.float32)
    values[:, 2000:] = np.nan
    return values


def fill_lattice(store: LocalStore) -> LatticeGroup:
    """A lattice that holds the ground in all blocks under the grid."""
    group = LatticeGroup.ensure(store, "d" * 64, ZONE, COSEISMIC.static, {"rows": "for the test"})
    at = ZONE.offset(GRID)
    frame = Window(at.y, at.x, *GRID.shape)
    for index in BLOCKS:
        part, mine = ZONE.part(index, frame), ZONE.window(index)
        stored = {}
        for channel, values in ground().items():
            encoding = Encoding.of(COSEISMIC[channel])
            block = encoding.pack(np.full((SHARD, SHARD), 0 if values.dtype == np.uint8 else np.nan, values.dtype))
            block[part.within(mine)] = encoding.pack(values[part.within(frame)])
            stored[channel] = block
        group.write(index, stored)
        group.commit(index, BlockRecord(1, 0, {name: ChannelRecord("0" * 64, 1, 0) for name in stored}))
    return group


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    store = LocalStore(tmp_path_factory.mktemp("store"))
    group = fill_lattice(store)
    cube = Cube.create(store, KEY, GRID, COSEISMIC, {"title": "a cube", "headscarp:synthetic": True})
    for window in blocks(YX(*GRID.shape), SHARD):
        cube.write(window, {"pga": pga()[window.slices]})
    view = StaticView(group, ZONE.offset(GRID), BLOCKS, {"lithology": {BLOCKS[0]}}, YX(*GRID.shape))
    described = view.to_json(dict.fromkeys(BLOCKS, "0" * 64))
    cube.finish({"headscarp:missing": {"soil": "no soil here"}, LATTICE: described})
    return store


def test_what_was_written_is_read(store: LocalStore) -> None:
    cube = Cube.open(store, KEY)
    full = ground()
    lithology, slope, soil, motion = cube.read(("lithology", "slope", "soil", "pga"), Window(0, 0, *GRID.shape))
    np.testing.assert_allclose(slope, full["slope"], atol=0.501 * STEP, equal_nan=True)
    at = ZONE.offset(GRID)
    hole = ZONE.part(BLOCKS[0], Window(at.y, at.x, *GRID.shape)).within(Window(at.y, at.x, *GRID.shape))
    known = full["lithology"] != 0
    assert known[hole].any()
    known[hole] = False
    np.testing.assert_array_equal(lithology[known], full["lithology"][known])
    assert np.isnan(lithology[~known]).all()
    assert np.isnan(soil).all()
    np.testing.assert_array_equal(motion, pga())
    assert cube.grid == GRID
    assert cube.channels == COSEISMIC.channels
    assert cube.missing == {"soil": "no soil here"}
    assert cube.attributes["headscarp:table"]["digest"] == COSEISMIC.digest


def test_windows_may_reach_outside(store: LocalStore) -> None:
    cube = Cube.open(store, KEY)
    slope, motion = cube.read(("slope", "pga"), Window(2400, 1900, 448, 448))
    np.testing.assert_allclose(slope[:100, :200], ground()["slope"][2400:, 1900:], atol=0.501 * STEP)
    np.testing.assert_array_equal(motion[:100, :200], pga()[2400:, 1900:])
    for outside in (slope[100:], slope[:, 200:], motion[100:], motion[:, 200:]):
        assert np.isnan(outside).all()
    assert np.isnan(cube.read(("slope", "pga"), Window(-500, -500, 448, 448))).all()


def test_unknown_channels_are_refused(store: LocalStore) -> None:
    with pytest.raises(InvalidInput, match="snow_depth"):
        Cube.open(store, KEY).read(("slope", "snow_depth"), Window(0, 0, 4, 4))


def opened(store: LocalStore, key: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return xr.open_zarr(store.zarr(key, read_only=True), chunks=None)


def test_plain_xarray_rioxarray_and_odc_know_where_the_event_lies(store: LocalStore) -> None:
    cube = opened(store, KEY)
    assert CRS.from_user_input(cube.rio.crs) == CRS.from_epsg(32634)
    assert cube.rio.transform().almost_equals(GRID.transform)
    assert cube.rio.bounds() == pytest.approx(GRID.boundingbox.bbox)
    assert cube["pga"].rio.crs is not None
    assert cube["pga"].odc.geobox == GRID
    assert cube["pga"].attrs["units"] == "g"
    assert cube["pga"].attrs["headscarp:role"] == "feature"
    assert float(cube["x"][0]) == 440_025
    assert float(cube["y"][0]) == 4_300_005
    np.testing.assert_array_equal(cube["pga"].values, pga())
    assert "slope" not in cube


def test_plain_xarray_rioxarray_and_odc_crop_the_zone(store: LocalStore) -> None:
    """Eighty thousand times six hundred thousand pixels open at once; a crop reads what it shows."""
    key = Cube.open(store, KEY).attributes[LATTICE]["key"]
    zone = opened(store, key)
    assert CRS.from_user_input(zone.rio.crs) == CRS.from_epsg(32634)
    assert zone["slope"].odc.geobox == ZONE.whole
    box = GRID.boundingbox
    crop = zone[["slope", "lithology"]].sel(x=slice(box.left, box.left + 3000), y=slice(box.top - 60_000, box.bottom))
    assert crop["slope"].shape == (500, 100)
    assert crop["slope"].odc.geobox.boundingbox.bbox == (box.left, box.bottom, box.left + 3000, box.top - 60_000)
    np.testing.assert_allclose(crop["slope"].values, ground()["slope"][2000:, :100], atol=0.501 * STEP)
    np.testing.assert_array_equal(crop["lithology"].values, ground()["lithology"][2000:, :100])
    clipped = zone[["slope"]].rio.clip_box(box.left, box.bottom, box.left + 3000, box.top - 60_000)
    assert clipped["slope"].shape == (500, 100) and clipped.rio.crs == zone.rio.crs
    assert zone["slope"].attrs["headscarp:largest_rounding_error"] == STEP / 2
    flags = dict(
        zip(zone["lithology"].attrs["flag_values"], zone["lithology"].attrs["flag_meanings"].split(), strict=True)
    )
    assert set(flags) == {0, *GLIM}
    assert flags[0] == "unknown"


def test_decoding_is_that_of_xarray(store: LocalStore) -> None:
    zone = opened(store, Cube.open(store, KEY).attributes[LATTICE]["key"])
    at = ZONE.offset(GRID)
    theirs = zone["slope"][at.y : at.y + 600, at.x : at.x + 700].values
    (ours,) = Cube.open(store, KEY).read(("slope",), Window(0, 0, 600, 700))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert np.isnan(theirs[:300]).all()


def test_layout_is_as_declared(store: LocalStore) -> None:
    root = json.loads(store.read(f"{KEY}/zarr.json"))
    assert root["zarr_format"] == 3
    motion = root["consolidated_metadata"]["metadata"]["pga"]
    assert motion["dimension_names"] == ["y", "x"]
    assert motion["chunk_grid"]["configuration"]["chunk_shape"] == [2048, 2048]
    assert motion["codecs"][0]["configuration"]["chunk_shape"] == [512, 512]
    assert (root["attributes"]["proj:code"], root["attributes"]["spatial:shape"]) == ("EPSG:32634", [2500, 2100])
    assert len(list(store.list(f"{KEY}/pga/c/"))) == 2, "a shard without a value takes no space"
    zone = Cube.open(store, KEY).attributes[LATTICE]["key"]
    slope = json.loads(store.read(f"{zone}/zarr.json"))["consolidated_metadata"]["metadata"]["slope"]
    assert (slope["data_type"], slope["attributes"]["scale_factor"]) == ("uint16", STEP)
    assert slope["attributes"]["valid_range"] == [0, 60_000]
    assert len(list(store.list(f"{zone}/slope/c/"))) == len(BLOCKS)
    assert not list(store.list(f"{zone}/soil/c/"))


def test_finished_cubes_are_immutable(store: LocalStore) -> None:
    with pytest.raises(InvalidInput, match="never rewritten"):
        Cube.create(store, KEY, GRID, COSEISMIC, {})


def test_unfinished_cubes_are_not_there_and_are_replaced(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(NotFound, match="no cube"):
        Cube.open(store, KEY)
    first = Cube.create(store, KEY, GRID, COSEISMIC, {"headscarp:run": 1})
    first.write(Window(0, 0, SHARD, SHARD), {"pga": np.ones((SHARD, SHARD), np.float32)})
    with pytest.raises(NotFound, match="never finished"):
        Cube.open(store, KEY)
    Cube.create(store, KEY, GRID, COSEISMIC, {"headscarp:run": 2}).finish({})
    again = Cube.open(store, KEY)
    assert again.attributes["headscarp:run"] == 2
    assert np.isnan(again.read(("pga",), Window(0, 0, 100, 100))).all()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    Cube.create(store, KEY, GRID, COSEISMIC, {}).finish({"headscarp:cube_format": 99})
    with pytest.raises(InvalidInput, match="expected format 2, found 99"):
        Cube.open(store, KEY)


def test_a_cube_without_its_lattice_is_not_there(tmp_path: Path, store: LocalStore) -> None:
    moved = LocalStore(tmp_path)
    for key in store.list("cubes/"):
        moved.put(key, store.read(key))
    with pytest.raises(NotFound, match="no lattice"):
        Cube.open(moved, KEY)


@pytest.mark.parametrize("window", [Window(0, 0, 512, 512), Window(100, 0, 2048, 2048), Window(2048, 0, 400, 2048)])
def test_blocks_must_be_whole_shards(tmp_path: Path, window: Window) -> None:
    cube = Cube.create(LocalStore(tmp_path), KEY, GRID, COSEISMIC, {})
    with pytest.raises(ValueError, match="not aligned"):
        cube.write(window, {"pga": np.zeros((window.height, window.width), np.float32)})
