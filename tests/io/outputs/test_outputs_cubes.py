"""A real cube of a SYNTHETIC world in the catalogue: valid, true to the data, and read with pystac and xarray alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401
import pystac
import pytest
import xarray as xr

from headscarp.core.event import RunId, ShakeMapId
from headscarp.core.grid import Extent
from headscarp.core.tiling import Window
from headscarp.errors import InvalidInput, StoreUnavailable
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.outputs.cubes import build_cube_item, cube_collection
from headscarp.io.outputs.product import CUBES, CUBES_KEY, ROOT_KEY, Product, cube_item_key, cube_key
from headscarp.io.store import LocalStore, Store
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.publish import publish, publish_cube
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.rainfall import RAINFALL
from headscarp.world.generate import World, make_world
from tests.io.outputs.products import NOW, FailingStore, Reader, grid_at, links, make_product

LABEL = "fcn-small-1.0"


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(3, shape=(96, 128))


def run_of(world: World) -> RunId:
    return RunId(world.event.id, ShakeMapId("us", world.event.id, 7), (LABEL,), COSEISMIC.digest)


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Cube]:
    """A store with a cube and a map page, nothing published."""
    folder = read_event_folder(write_world(world, tmp_path_factory.mktemp("world") / "syn"))
    store = LocalStore(tmp_path_factory.mktemp("store"))
    store.put("catalog/index.html", b"<!doctype html>")
    cube = build_cube(
        store,
        cube_key(world.event.id, str(run_of(world))),
        event=world.event,
        shaking=world.shaking,
        extent=Extent(world.grid, cut_by_shakemap_edge=False),
        table=COSEISMIC,
        registry=SourceRegistry({}, {}).with_overrides(folder.layers, others="not in the folder"),
        lineage={},
    )
    return store, cube


@pytest.fixture
def store(built: tuple[LocalStore, Cube], tmp_path: Path) -> LocalStore:
    """A copy of that store."""
    return LocalStore(shutil.copytree(built[0].root, tmp_path / "store"))


def product_of(world: World, folder: Path) -> Product:
    product = make_product(folder, with_usgs=False, synthetic=True)
    return replace(product, run=run_of(world), event=world.event)


def send(world: World, store: Store, scratch: Path) -> None:
    cube = Cube.open(store, cube_key(world.event.id, str(run_of(world))))
    publish_cube(cube, world.event, COSEISMIC, store, now=NOW)
    product = product_of(world, scratch / "in")
    publish(product, store, scratch=scratch, public_url=None, now=NOW, threads=1)


def item_of(cube: Any, world: World, store: Store) -> dict[str, Any]:
    made = build_cube_item(cube, world.event, COSEISMIC, store, now=NOW)
    return json.loads(json.dumps(made.to_dict(include_self_link=False, transform_hrefs=False)))


def test_cube_and_product_are_valid_and_linked(
    world: World, store: LocalStore, tmp_path: Path, shared_schemas: Path
) -> None:
    send(world, store, tmp_path)
    reader = Reader(store, shared_schemas)
    (product,) = reader.items().values()
    (cube,) = reader.items(CUBES).values()
    assert cube["id"] == f"{product['id']}-cube"
    assert f"../../../{CUBES}/{cube['id']}/{cube['id']}.json" in links(product, "derived_from")
    assert cube["properties"]["title"].startswith("SYNTHETIC ")
    assert cube["properties"]["headscarp:synthetic"] is True
    assert str(tmp_path) not in json.dumps(cube) and str(store.root) not in json.dumps(cube)


def test_the_schemas_can_refuse_a_cube(built: tuple[LocalStore, Cube], world: World, shared_schemas: Path) -> None:
    from pystac.validation import validate_dict

    Reader(built[0], shared_schemas)
    item = item_of(built[1], world, built[0])
    validate_dict(item)
    del item["properties"]["cube:dimensions"]["x"]["extent"]
    with pytest.raises(pystac.STACValidationError, match="datacube"):
        validate_dict(item)


def test_pystac_and_xarray_read_what_the_item_says(world: World, store: LocalStore, tmp_path: Path) -> None:
    """From the root on, with no code of ours: every channel is in the group said to hold it, and in its place."""
    send(world, store, tmp_path)
    root = pystac.Catalog.from_file(store.address(ROOT_KEY))
    (collection,) = (child for child in root.get_children() if child.id == CUBES)
    (item,) = collection.get_items()
    said = item.properties
    groups = {
        name: xr.open_zarr(str(asset.get_absolute_href()), decode_coords="all")
        for name, asset in item.assets.items()
        if asset.media_type == "application/vnd.zarr; version=3"
    }
    own = groups["cube"]
    assert (own.odc.geobox.affine, tuple(own.odc.geobox.shape)) == (world.grid.affine, tuple(world.grid.shape))
    assert said["proj:code"] == f"EPSG:{own.odc.crs.epsg}" == str(world.grid.crs)
    for axis in ("x", "y"):
        dimension, centres = said["cube:dimensions"][axis], own[axis].to_numpy()
        assert dimension["extent"] == [centres.min(), centres.max()]
        assert (np.diff(centres) == dimension["step"]).all()
        assert dimension["reference_system"] == own.odc.crs.epsg
    cube = Cube.open(store, cube_key(world.event.id, str(run_of(world))))
    seen = set()
    for name, asset in item.assets.items():
        for channel in asset.extra_fields["headscarp:channels"]:
            layer, variable = groups[name][channel], said["cube:variables"][channel]
            assert list(layer.dims) == variable["dimensions"]
            assert layer.attrs["units"] == variable.get("unit", "1")
            part = layer.sel(x=own.x, y=own.y).to_numpy().astype(np.float32)
            (expected,) = cube.read((channel,), Window(0, 0, *world.grid.shape))
            known = np.isfinite(expected)
            np.testing.assert_allclose(part[known], expected[known], rtol=1e-6, err_msg=channel)
            seen.add(channel)
    assert seen == set(COSEISMIC.channels) == set(said["cube:variables"])


def test_variables_carry_units_ranges_and_legends(built: tuple[LocalStore, Cube], world: World) -> None:
    said = item_of(built[1], world, built[0])["properties"]["cube:variables"]
    assert (said["slope"]["unit"], said["slope"]["extent"]) == ("degree", [0.0, 90.0])
    assert said["pga"] | {"description": ""} == {
        "variable_type": "data", "dimensions": ["y", "x"], "description": "", "headscarp:per": "event",
        "unit": "g", "data_type": "float32", "nodata": "nan", "extent": [0.0, 10.0],
    }  # fmt: skip
    assert said["elevation"]["variable_type"] == "auxiliary"
    assert said["land_cover"]["headscarp:legend"]["10"] == "tree cover"
    assert said["land_cover"]["values"] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]
    assert "unit" not in said["land_cover"]
    assert said["aspect_east"]["description"] != said["aspect_north"]["description"]


def test_publishing_a_cube_again_writes_nothing(world: World, store: LocalStore) -> None:
    cube = Cube.open(store, cube_key(world.event.id, str(run_of(world))))
    counting = FailingStore(store)
    key = publish_cube(cube, world.event, COSEISMIC, counting, now=NOW)
    assert (key, counting.writes) == (cube_item_key(cube.key), 2)
    publish_cube(cube, world.event, COSEISMIC, counting, now=NOW + timedelta(days=1))
    assert counting.writes == 2
    assert json.loads(store.read(key))["properties"]["created"] == "2026-11-22T06:40:00Z"


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_a_stop_around_the_cubes_writes_shows_no_broken_link_and_is_made_good(
    world: World, store: LocalStore, tmp_path: Path, after: bool
) -> None:
    """The catalogue holds another cube already, so that readers look into the collection at any moment."""
    shutil.copytree(
        store.address(cube_key(world.event.id, str(run_of(world)))), store.root / "cubes/earlier/first.zarr"
    )
    publish_cube(Cube.open(store, "cubes/earlier/first.zarr"), world.event, COSEISMIC, store, now=NOW)
    other = make_product(tmp_path / "other", event="us2", with_usgs=False)
    publish(other, store, scratch=tmp_path / "x", public_url=None, now=NOW, threads=1)
    for crash in (1, 2, 3):
        stopped = LocalStore(shutil.copytree(store.root, tmp_path / f"store{crash}"))
        reader = Reader(stopped)
        with pytest.raises(StoreUnavailable):
            send(world, FailingStore(stopped, crash, after=after), tmp_path / "scratch")
        assert (len(reader.items()), len(reader.items(CUBES))) == (1, 1 + (crash + after > 2))
        send(world, stopped, tmp_path / "scratch")
        assert len(reader.items()) == len(reader.items(CUBES)) == 2


def test_another_publisher_does_not_hide_the_cubes(world: World, store: LocalStore, tmp_path: Path) -> None:
    """A product without a cube in the catalogue, published later, keeps the collection of cubes in the root."""
    send(world, store, tmp_path)
    other = make_product(tmp_path / "other", event="us2", with_usgs=False)
    publish(other, store, scratch=tmp_path / "x", public_url=None, now=NOW, threads=1)
    reader = Reader(store)
    assert len(reader.items()) == 2 and len(reader.items(CUBES)) == 1
    assert [link for link in reader.items()[str(other.run)]["links"] if link["rel"] == "store"] == []


def test_the_collection_lists_every_cube_once_and_holds_them_all() -> None:
    def an_item(name: str, west: float, year: int) -> dict[str, Any]:
        times = {"datetime": f"{year}-01-01T00:00:00Z", "title": f"Cube {name}"}
        return {"id": name, "bbox": [west, 1, west + 1, 2], "properties": times}

    one = cube_collection(None, an_item("b", 10, 2020))
    two = cube_collection(one, an_item("a", -30, 2010))
    assert links(two, "item") == ["./a/a.json", "./b/b.json"]
    assert two["extent"]["spatial"]["bbox"] == [[-30, 1, 11, 2]]
    assert two["extent"]["temporal"]["interval"] == [["2010-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]]
    assert cube_collection(two, an_item("b", 10, 2020)) == two
    assert two["license"] == "other"


def an_imagined_cube(**attributes: Any) -> Any:
    """What an item is made of, without data."""
    known = {"title": "A cube", "headscarp:table": {"name": COSEISMIC.name, "digest": COSEISMIC.digest}}
    return SimpleNamespace(key="cubes/e/r.zarr", grid=grid_at(), attributes=known | attributes, missing={})


class Remote(LocalStore):
    """A store whose addresses are not paths."""

    def address(self, key: str) -> str:
        return f"s3://bucket/prefix/{key}"


def test_a_remote_store_is_named_and_who_may_read_it_is_said(world: World, tmp_path: Path) -> None:
    blocks = {"block": 2048, "blocks": {"70_8": "a1"}, "holes": {"ndvi": ["70_8"]}}
    cube = an_imagined_cube(**{"headscarp:lattice": {"key": "lattice/0123456789abcdef/32634.zarr", **blocks}})
    assets = item_of(cube, world, Remote(tmp_path))["assets"]
    assert assets["cube"]["headscarp:address"] == "s3://bucket/prefix/cubes/e/r.zarr"
    assert assets["cube"]["href"] == "../../../cubes/e/r.zarr"
    assert assets["lattice"]["href"] == "../../../lattice/0123456789abcdef/32634.zarr"
    assert {name: assets["lattice"][f"headscarp:{name}"] for name in blocks} == blocks
    assert "key" in assets["cube"]["headscarp:access"]
    assert {"pga", "rake_sin"} <= set(assets["cube"]["headscarp:channels"])
    assert {"slope", "lithology"} <= set(assets["lattice"]["headscarp:channels"])
    here = item_of(cube, world, LocalStore(tmp_path))["assets"]["cube"]
    assert "headscarp:address" not in here


def test_terms_of_every_source_are_kept(world: World, tmp_path: Path) -> None:
    dem = {"href": "https://example.org/{ns}{lat:02d}.tif", "licence": "DEM terms", "attribution": "(c) someone"}
    faults = {"href": "https://example.org/faults.gpkg", "licence": "CC-BY-SA-4.0", "files": {"/home/me/x": "1"}}
    soil = {"href": str(tmp_path / "soil.tif"), "licence": "CC-BY-4.0"}
    cube = an_imagined_cube(**{"headscarp:sources": {"dem": dem, "faults": faults, "soil": soil}})
    item = item_of(cube, world, LocalStore(tmp_path))
    sources = item["properties"]["headscarp:sources"]
    assert {layer: source["licence"] for layer, source in sources.items()} == {
        "dem": "DEM terms", "faults": "CC-BY-SA-4.0", "soil": "CC-BY-4.0",
    }  # fmt: skip
    assert sources["soil"]["href"] == "soil.tif" and "files" not in sources["faults"]
    derived = [link for link in item["links"] if link["rel"] == "derived_from"]
    assert [(link["href"], link["headscarp:licence"]) for link in derived] == [(faults["href"], "CC-BY-SA-4.0")]


def test_a_cube_of_another_table_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"expected table rainfall"):
        build_cube_item(an_imagined_cube(), world.event, RAINFALL, LocalStore(tmp_path), now=NOW)
    assert not LocalStore(tmp_path).exists(CUBES_KEY)
