"""STAC objects against core and extension schemas, their geometry at the antimeridian, and what they promise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer
from shapely.geometry import Point, shape

from headscarp.core.event import Event
from headscarp.core.palette import GROUND, SCORE, hex_of
from headscarp.core.status import Status
from headscarp.io.outputs.assets import render
from headscarp.io.outputs.catalog import collection, event_catalog, root_catalog
from headscarp.io.outputs.item import build_item, without_local_paths
from headscarp.io.outputs.product import Product, item_key
from headscarp.io.outputs.thumbnail import STAMP
from headscarp.io.outputs.versions import Version
from headscarp.io.store import LocalStore
from headscarp.pipeline.publish import publish
from tests.io.outputs.products import NOW, ORIGIN, Reader, grid_at, make_product, score_and_status, write_raster


def item_of(product: Product, folder: Path, **changes: Any) -> dict[str, Any]:
    rendered = render(product, folder / "files", public_url=changes.pop("public_url", None), threads=1)
    item = build_item(product, rendered, now=NOW, with_cube=changes.get("with_cube", False))
    return json.loads(json.dumps(item.to_dict(include_self_link=False, transform_hrefs=False)))


def published(product: Product, folder: Path) -> LocalStore:
    store = LocalStore(folder / "store")
    store.put("catalog/index.html", b"<!doctype html>")
    publish(product, store, scratch=folder / "scratch", public_url="https://example.org/c", now=NOW, threads=1)
    return store


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"synthetic": True},
        {"with_usgs": False},
        {"cut_by_shakemap_edge": True},
        {"grid": grid_at(32760, 815000.0, 8_000_010.0)},
        {"event": "odd id/with:signs"},
    ],
    ids=str,
)
def test_every_object_is_valid(tmp_path: Path, shared_schemas: Path, changes: dict[str, Any]) -> None:
    product = make_product(tmp_path / "in", **changes)
    assert set(Reader(published(product, tmp_path), shared_schemas).items()) == {str(product.run)}


def test_the_schemas_can_refuse(tmp_path: Path, shared_schemas: Path) -> None:
    product = make_product(tmp_path / "in")
    store = published(product, tmp_path)
    reader = Reader(store, shared_schemas)
    key = item_key(product.event.id, str(product.run))
    item = json.loads(store.read(key))
    item["properties"]["eq:alert"] = "red"
    store.put(key, json.dumps(item).encode())
    with pytest.raises(pystac.STACValidationError, match="earthquake"):
        reader.items()


def test_item_says_what_the_product_is(tmp_path: Path) -> None:
    item = item_of(make_product(tmp_path / "in"), tmp_path)
    said = item["properties"]
    assert said["title"] == "Landslides set off by M 7.1 - 12 km W of Testville"
    assert said["datetime"] == "2026-11-22T06:10:04Z"
    assert said["created"] == said["processing:datetime"] == "2026-11-22T06:40:00Z"
    assert (said["eq:magnitude"], said["eq:depth"]) == (7.1, 12.0)
    assert said["monty:hazard_codes"][0] == "GH0300"
    assert said["headscarp:degraded"] == ["soil"]
    assert said["headscarp:missing"] == {"soil": "no source"}
    assert said["headscarp:shakemap"] == {"version": "3", "source": "us", "code": "us7000test", "update_time": 1000}
    assert [m["name"] for m in said["headscarp:models"]] == ["fcn-small", "nowicki_jessee_2018"]
    assert said["renders"]["hazard"]["headscarp:legend"] == SCORE.legend()
    assert "soil" in said["description"]


def test_the_item_offers_the_ground_in_the_colours_it_is_drawn_with(tmp_path: Path) -> None:
    item = item_of(make_product(tmp_path / "in"), tmp_path)
    tiles = item["assets"]["status_tiles"]
    assert (tiles["href"], tiles["type"]) == ("./status.pmtiles", "application/vnd.pmtiles")
    classes = item["assets"]["status"]["classification:classes"]
    assert [f"#{c['color_hint'].lower()}" for c in classes] == [hex_of(GROUND.rgb(status)) for status in Status]
    assert item["properties"]["renders"]["status"]["headscarp:legend"] == GROUND.legend()
    offered = {link["href"]: link["render"] for link in item["links"] if link["rel"] == "pmtiles"}
    assert offered == {"./hazard.pmtiles": "hazard", "./usgs.pmtiles": "usgs", "./status.pmtiles": "status"}


def test_hazard_detail_is_the_coverage_summed_over_area(tmp_path: Path) -> None:
    score, _ = score_and_status()
    expected = np.nansum(score.astype(np.float64) / 10) * 0.03 * 0.03
    detail = item_of(make_product(tmp_path / "in"), tmp_path)["properties"]["monty:hazard_detail"]
    assert detail["severity_value"] == pytest.approx(expected, rel=1e-5)
    assert detail["severity_unit"] == "km2"


def test_a_score_is_never_summed_into_an_area(tmp_path: Path) -> None:
    item = item_of(make_product(tmp_path / "in", with_usgs=False), tmp_path)
    assert "monty:hazard_detail" not in item["properties"]


def test_synthetic_is_said_wherever_the_product_is_shown(tmp_path: Path) -> None:
    item = item_of(make_product(tmp_path / "in", synthetic=True), tmp_path, public_url="https://example.org")
    files = tmp_path / "files"
    assert item["properties"]["title"].startswith("SYNTHETIC ")
    assert item["properties"]["headscarp:synthetic"] is True
    assert "SYNTHETIC" in item["properties"]["description"]
    for name in ("hazard", "usgs", "status", "visual"):
        with rasterio.open(files / f"{name}.tif") as file:
            assert file.tags()["SYNTHETIC"] == "YES"
    assert json.loads((files / "tilejson.json").read_text())["name"].startswith("SYNTHETIC ")
    assert stamped(files / "thumbnail.png")


def test_a_real_product_is_not_stamped(tmp_path: Path) -> None:
    render(make_product(tmp_path / "in"), tmp_path / "files", public_url=None, threads=1)
    assert not stamped(tmp_path / "files" / "thumbnail.png")
    with rasterio.open(tmp_path / "files" / "hazard.tif") as file:
        assert "SYNTHETIC" not in str(file.tags())


def stamped(path: Path) -> bool:
    return bool((np.asarray(Image.open(path)) == STAMP).all(axis=2).any())


def test_the_thumbnail_is_small_and_shows_the_hot_square_where_it_is(tmp_path: Path) -> None:
    render(make_product(tmp_path / "in"), tmp_path / "files", public_url=None, threads=1)
    image = np.asarray(Image.open(tmp_path / "files" / "thumbnail.png").convert("RGB")).astype(int)
    assert max(image.shape[:2]) < 600
    hot = 179 / 255 * np.array(SCORE.bins[-1].rgb) + 76 / 255 * np.array(GROUND.rgb(Status.VALID))
    left, top = (560 - 480) // 2, 54
    y, x = np.nonzero(np.abs(image[: top + 360] - hot.round()).max(axis=2) <= 1)
    assert (x.min() - left, x.max() + 1 - left) == (300, 420)
    assert (y.min() - top, y.max() + 1 - top) == (240, 300)
    assert tuple(image[top + 200, left + 60]) == GROUND.rgb(Status.SEA)
    assert tuple(image[top + 10, left + 470]) == GROUND.rgb(Status.NODATA)


def test_a_single_hot_pixel_survives_in_the_thumbnail(tmp_path: Path) -> None:
    grid = grid_at()
    score = np.zeros((2400, 3000), np.float32)
    score[1234, 2345] = 0.95
    status = write_raster(tmp_path / "s.tif", np.ones(score.shape, np.uint8), grid, 0)
    path = write_raster(tmp_path / "v.tif", score, grid, np.nan)
    from headscarp.io.outputs.thumbnail import peaks, write_thumbnail

    codes = peaks(path, SCORE, 7)
    assert codes.shape == (343, 429)
    assert np.argwhere(codes).tolist() == [[1234 // 7, 2345 // 7]]
    write_thumbnail(path, status, tmp_path / "t.png", palette=SCORE, title="t", subtitle="s", synthetic=False)
    assert Image.open(tmp_path / "t.png").size[0] < 600


def test_geometry_is_the_hull_of_what_has_a_value(tmp_path: Path) -> None:
    product = make_product(tmp_path / "in")
    geometry = shape(item_of(product, tmp_path)["geometry"])
    assert geometry.is_valid
    to_degrees = Transformer.from_crs("EPSG:32634", "EPSG:4326", always_xy=True)
    inside, sea = (
        to_degrees.transform(500000 + 30 * (c + 0.5), 4300020 - 30 * (r + 0.5)) for r, c in ((60, 60), (60, 20))
    )
    assert geometry.contains(Point(inside))
    assert not geometry.contains(Point(sea))


def test_without_any_valid_pixel_the_geometry_is_the_grid(tmp_path: Path) -> None:
    product = make_product(tmp_path / "in")
    write_raster(product.status, np.full((120, 160), Status.SEA, np.uint8), product.grid, 0)
    geometry = shape(item_of(product, tmp_path)["geometry"])
    west, _, east, _ = geometry.bounds
    assert east - west == pytest.approx(160 * 30 / 111_320 / np.cos(np.radians(38.8)), rel=0.02)


@pytest.mark.parametrize(("epsg", "x"), [(32760, 815000.0), (32701, 181000.0)])
def test_geometry_across_the_antimeridian_is_split_and_small(tmp_path: Path, epsg: int, x: float) -> None:
    product = make_product(tmp_path / "in", grid=grid_at(epsg, x, 8_000_010.0))
    item = item_of(product, tmp_path)
    assert item["geometry"]["type"] == "MultiPolygon"
    geometry = shape(item["geometry"])
    assert geometry.is_valid
    west, south, east, north = item["bbox"]
    assert 179 < west <= 180
    assert -180 <= east < -179
    assert south < north
    assert geometry.area < 0.01
    parts = [part.bounds for part in geometry.geoms]
    assert {round(b[2]) for b in parts if b[0] > 0} == {180}
    assert {round(b[0]) for b in parts if b[0] < 0} == {-180}


def test_rings_turn_as_geojson_wants(tmp_path: Path) -> None:
    geometry = item_of(make_product(tmp_path / "in"), tmp_path)["geometry"]
    assert geometry["type"] == "Polygon"
    ring = np.array(geometry["coordinates"][0])
    x, y = ring.T
    assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0


def test_every_raster_asset_carries_its_grid_and_reads_back(tmp_path: Path) -> None:
    item = pystac.Item.from_dict(item_of(make_product(tmp_path / "in"), tmp_path))
    for key in ("hazard", "usgs", "status", "visual"):
        asset = item.assets[key]
        assert asset.media_type == pystac.MediaType.COG
        with rasterio.open(tmp_path / "files" / asset.href) as file:
            assert asset.extra_fields["proj:code"] == f"EPSG:{file.crs.to_epsg()}"
            assert asset.extra_fields["proj:shape"] == list(file.shape)
            assert asset.extra_fields["proj:transform"] == list(file.transform)[:6]
            assert len(asset.extra_fields["bands"]) == file.count
            assert asset.extra_fields["data_type"] == file.dtypes[0]


def test_equal_products_give_equal_files(tmp_path: Path) -> None:
    product = make_product(tmp_path / "in")
    made = [render(product, tmp_path / name, public_url="https://e.org", threads=2) for name in ("a", "b")]
    assert [f.key for f in made[0].files] == [f.key for f in made[1].files]
    for one, other in zip(made[0].files, made[1].files, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes(), one.key


def test_without_a_public_address_there_is_no_tilejson(tmp_path: Path) -> None:
    item = item_of(make_product(tmp_path / "in"), tmp_path)
    assert "tilejson" not in item["assets"]
    assert {link["rel"] for link in item["links"]} >= {"pmtiles", "preview", "icon", "via", "triggered-by-hazard"}


def test_paths_of_this_machine_stay_here(tmp_path: Path) -> None:
    sources = {
        "dem": {"href": "https://example.org/dem.tif", "files": {"https://example.org/dem.tif": "etag"}},
        "soil": {"href": str(tmp_path / "soil.tif"), "files": {str(tmp_path / "soil.tif"): "abc"}},
        "rock": {"href": "https://example.org/{z}.tif"},
    }
    item = item_of(make_product(tmp_path / "in", lineage={"headscarp:sources": sources}), tmp_path)
    assert str(tmp_path) not in json.dumps(item)
    assert item["properties"]["headscarp:lineage"]["headscarp:sources"]["soil"]["files"] == {"soil.tif": "abc"}
    assert [link["href"] for link in item["links"] if link["rel"] == "derived_from"] == ["https://example.org/dem.tif"]
    assert without_local_paths(["file:///a/b.tif", 1, None]) == ["b.tif", 1, None]


def test_the_collection_grows_to_hold_its_items() -> None:
    def an_item(bbox: list[float], moment: str) -> dict[str, Any]:
        return {"bbox": bbox, "properties": {"datetime": moment}}

    def an_event(name: str) -> dict[str, Any]:
        return {"id": name, "title": f"M 7 {name}", "headscarp:event": {"time": "2026-11-22T06:10:04Z"}}

    first = collection(None, an_item([20, 38, 21, 39], "2026-11-22T06:10:04Z"), an_event("b"))
    second = collection(first, an_item([-70, -20, -68, -19], "2014-04-01T23:46:47Z"), an_event("a"))
    assert second["extent"]["spatial"]["bbox"] == [[-70, -20, 21, 39]]
    assert second["extent"]["temporal"]["interval"] == [["2014-04-01T23:46:47Z", "2026-11-22T06:10:04Z"]]
    assert [link["href"] for link in second["links"] if link["rel"] == "child"] == [
        "./a/catalog.json",
        "./b/catalog.json",
    ]
    times = [link["headscarp:time"] for link in second["links"] if link["rel"] == "child"]
    assert times == ["2026-11-22T06:10:04Z"] * 2
    assert collection(second, an_item([20, 38, 21, 39], "2026-11-22T06:10:04Z"), an_event("b")) == second
    third = collection(second, an_item([179, -17, -179, -16], "2026-11-22T06:10:04Z"), an_event("c"))
    assert third["extent"]["spatial"]["bbox"] == [[-180, -20, 180, 39]]


def test_the_collection_says_what_it_is_not() -> None:
    event = event_catalog(
        Event("x", "M 7", ORIGIN, 7.0, 0.0, 0.0, 10.0), [Version(1, "2026", "x-1", "t")], synthetic=True
    )
    assert event["title"] == "SYNTHETIC M 7"
    item = {"bbox": [0, 0, 1, 1], "properties": {"datetime": "2026-01-01T00:00:00Z"}}
    made = collection(None, item, event)
    assert "not observations" in made["description"]
    assert made["sci:publications"][0]["doi"] == "10.1093/nsr/nwaf179"
    assert made["license"] == "CC-BY-4.0"
    assert made["extent"]["temporal"]["interval"][0][0] == "2026-01-01T00:00:00Z"


def test_only_the_root_knows_the_public_address() -> None:
    assert all(link["rel"] != "self" for link in root_catalog(None)["links"])
    root = pystac.Catalog.from_dict(root_catalog("https://example.org/c/"))
    assert root.get_self_href() == "https://example.org/c/catalog.json"


def test_pystac_walks_the_published_tree(tmp_path: Path) -> None:
    product = make_product(tmp_path / "in")
    root = pystac.Catalog.from_file(published(product, tmp_path).address("catalog/catalog.json"))
    assert [child.id for child in root.get_children()] == ["coseismic-landslides"]
    (item,) = root.get_items(recursive=True)
    assert item.id == str(product.run)
    assert item.datetime == datetime(2026, 11, 22, 6, 10, 4, tzinfo=UTC)
    assert Path(item.assets["hazard"].get_absolute_href() or "").exists()
