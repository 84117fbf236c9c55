"""A world on disk: read back by rasterio, by the reader of event folders, and byte for byte the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from headscarp.io.inputs.folder import read_event_folder
from headscarp.pipeline.world import write_world
from headscarp.world.generate import World, make_world


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(5, shape=(96, 128))


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(world, tmp_path_factory.mktemp("world") / "syn")


def tiffs(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("*.tif")))


def test_every_raster_is_a_cog_that_says_it_is_synthetic(folder: Path) -> None:
    names = [path.name for path in tiffs(folder)]
    assert len(names) == 8
    for path in tiffs(folder):
        assert cog_validate(path, quiet=True)[0], path.name
        with rasterio.open(path) as file:
            assert file.tags()["SYNTHETIC"] == "YES", path.name


def test_rasters_hold_what_the_world_holds(world: World, folder: Path) -> None:
    for name, values in {"dem": world.elevation, "lithology": world.lithology, "land_cover": world.land_cover}.items():
        with rasterio.open(folder / f"{name}.tif") as file:
            np.testing.assert_array_equal(file.read(1), values)
            assert file.transform == world.grid.transform
            assert file.crs.to_epsg() == 32626
    with rasterio.open(folder / "dem.tif") as file:
        dem = file.read(1, masked=True)
    assert (dem[~world.land] < 0).all()
    assert dem.mask.any() and not dem.mask.all()
    assert (dem[world.land] > 0).all()


def test_the_folder_is_an_event(world: World, folder: Path) -> None:
    found = read_event_folder(folder)
    assert found.event.synthetic
    assert (found.event.id, found.event.time, found.event.rake) == (
        world.event.id,
        world.event.time,
        world.event.rake,
    )
    for name in ("pga", "pgv", "vs30", "pga_ln_std", "pgv_ln_std"):
        np.testing.assert_allclose(getattr(found.shaking, name), getattr(world.shaking, name), rtol=1e-6)
    assert found.shaking.grid == world.shaking.grid
    assert found.layers["soil"]["scheme"] == "wrb"
    assert found.inventory is not None
    with rasterio.open(found.inventory.href) as file:
        np.testing.assert_array_equal(file.read(1) == 1, world.landslides)


def test_faults_come_back(world: World, folder: Path) -> None:
    meta, _, geometry, _ = pyogrio.raw.read(folder / "faults.gpkg")
    assert meta["crs"] == "EPSG:32626"
    assert len(geometry) == len(world.faults)


def test_the_early_shakemap_is_another_event_identity(world: World, folder: Path, tmp_path: Path) -> None:
    early = read_event_folder(write_world(world, tmp_path / "syn", shakemap="early"))
    final = read_event_folder(folder)
    assert early.event == final.event
    assert early.shakemap_id != final.shakemap_id
    assert early.shaking.pga_ln_std is not None and final.shaking.pga_ln_std is not None
    assert early.shaking.pga_ln_std.min() > final.shaking.pga_ln_std.max()
    assert not np.allclose(early.shaking.pga, final.shaking.pga, rtol=0.05)


def test_writing_twice_gives_the_same_bytes(world: World, folder: Path, tmp_path: Path) -> None:
    again = write_world(world, tmp_path / "again")
    for path in sorted(folder.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    assert read_event_folder(again).shakemap_id == read_event_folder(folder).shakemap_id


def test_event_json_is_plain(folder: Path) -> None:
    text = json.loads((folder / "event.json").read_text(encoding="utf-8"))
    assert text["synthetic"] is True
    assert text["time"].endswith("Z")
    assert {"dem", "lithology", "soil", "land_cover", "ndvi", "faults", "pga", "pgv", "vs30"} <= set(text["layers"])
    for layer in (*text["layers"].values(), text["inventory"], text["truth"]["probability"]):
        assert (folder / layer["href"]).is_file()
