"""Sources and cube on a real S3 service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import rioxarray  # noqa: F401
import shapely
import xarray as xr
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Extent
from headscarp.core.pci.table import Table
from headscarp.core.tiling import Window
from headscarp.errors import NotFound, SourceUnavailable
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import LocalStore, Store
from headscarp.pipeline.cube import build_cube
from headscarp.tables.coseismic import COSEISMIC

pytestmark = pytest.mark.service

QUICK = Table("quick", tuple(r for r in COSEISMIC if r.kernel not in {"hydrology", "river_distance", "relief"}))
TRANSFORM = Affine(30, 0, 499_020, 0, -30, 4_306_020)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    z = np.random.default_rng(0).normal(500, 20, (300, 300)).astype(np.float32)
    dem = tmp_path / "dem.tif"
    with rasterio.open(
        dem, "w", driver="GTiff", height=300, width=300, count=1, dtype="float32", crs="EPSG:32634",
        transform=TRANSFORM, tiled=True, blockxsize=128, blockysize=128, compress="deflate",
    ) as target:  # fmt: skip
        target.write(z, 1)
    faults = tmp_path / "faults.gpkg"
    line = shapely.LineString([(500_000, 4_290_000), (510_000, 4_310_000)])
    pyogrio.raw.write(
        faults, shapely.to_wkb([line]), [np.arange(1)], ["id"], driver="GPKG", crs="EPSG:32634",
        geometry_type="LineString",
    )  # fmt: skip
    return {"dem": dem, "faults": faults}


def build(store: Store, dem: str, faults: str) -> Cube:
    grid = GeoBox(wh_(200, 180), TRANSFORM * Affine.translation(50, 50), "EPSG:32634")
    coarse = GeoBox(wh_(24, 24), Affine(1 / 60, 0, 20.8, 0, -1 / 60, 39.1), "EPSG:4326")
    layers: dict[str, Any] = {"dem": {"href": dem}, "faults": {"href": faults}}
    return build_cube(
        store,
        "cubes/xx1/run.zarr",
        event=Event("xx1", "M 7", datetime(2020, 5, 1, tzinfo=UTC), 7.0, 21.0, 38.9, 10.0),
        shaking=Shaking(coarse, np.full((24, 24), 0.3, np.float32)),
        extent=Extent(grid, cut_by_shakemap_edge=False),
        table=QUICK,
        registry=SourceRegistry.load().with_overrides(layers, others="not in the test"),
        lineage={},
        timeout_s=10,
    )


def test_a_cube_on_s3_from_sources_on_s3(s3_env: Any, files: dict[str, Path], tmp_path: Path) -> None:
    store = s3_env.store()
    for path in files.values():
        store.put_file(path.name, path)
    cube = build(store, store.address("dem.tif"), store.address("faults.gpkg"))
    local = build(LocalStore(tmp_path / "store"), str(files["dem"]), str(files["faults"]))
    assert cube.attributes["headscarp:content_digest"] == local.attributes["headscarp:content_digest"]
    assert cube.attributes["headscarp:sources"]["dem"]["files"][store.address("dem.tif")]["etag"]

    again = Cube.open(store, cube.key)
    window = Window(0, 0, 180, 200)
    channels = ("slope", "fault_distance", "pga")
    np.testing.assert_array_equal(again.read(channels, window), local.read(channels, window))
    with xr.open_zarr(store.address(cube.key), consolidated=True, chunks=None, decode_coords="all") as plain:
        assert CRS.from_user_input(plain.rio.crs) == CRS.from_epsg(32634)
        assert float(plain["pga"].max()) == pytest.approx(0.3)
    with xr.open_zarr(store.address(cube.attributes["headscarp:lattice"]["key"]), chunks=None) as zone:
        part = zone["slope"].sel(x=slice(501_000, 502_000), y=slice(4_304_000, 4_303_000))
        assert CRS.from_user_input(zone.rio.crs) == CRS.from_epsg(32634)
        assert float(part.max()) > 1


def test_public_objects_are_read_over_http(s3_env: Any, files: dict[str, Path], tmp_path: Path) -> None:
    store = s3_env.store("")
    for path in files.values():
        store.put_file(f"catalog/mirror/{path.name}", path)
    mirror = f"{s3_env.url}/{s3_env.bucket}/catalog/mirror"
    cube = build(LocalStore(tmp_path / "a"), f"{mirror}/dem.tif", f"{mirror}/faults.gpkg")
    assert cube.attributes["headscarp:valid_fraction"]["fault_distance"] == 1.0


def test_objects_that_are_not_there_or_not_ours(
    s3_env: Any, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = s3_env.store()
    store.put_file("dem.tif", files["dem"])
    target = LocalStore(tmp_path / "a")
    missing = build(target, store.address("dem.tif"), "http://127.0.0.1:9/faults.gpkg").missing
    assert "127.0.0.1:9" in missing["fault_distance"]
    with pytest.raises(NotFound):
        Cube.open(store, "cubes/xx1/run.zarr")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SourceUnavailable, match="refused with HTTP status 403"):
        build(LocalStore(tmp_path / "b"), store.address("dem.tif"), str(files["faults"]))
