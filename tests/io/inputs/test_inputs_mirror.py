"""The packaged registry read from a real S3 server whose buckets are laid out and named as the public ones.

The place is SYNTHETIC: four degree tiles around 63 N 150 W. North-west is land at 30 m, north-east land whose 30 m
tile is withheld, south-west land, south-east sea.
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.ndimage import binary_erosion

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Bounds, Extent
from headscarp.core.pci.table import Table
from headscarp.core.tiling import Window
from headscarp.demo.mirror import Mirror, dem_grid, publish_mirror
from headscarp.demo.scene import Scene, scene_of
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.vectors import read_lines
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.tables.coseismic import COSEISMIC
from headscarp.world.generate import make_world

pytestmark = pytest.mark.service

CENTRE = (-150.0, 63.0)
WITHHELD = (-150, 63)
SEA = (-150, 62)
QUAKE = Event(
    "xx63", "SYNTHETIC M 7.1", datetime(2023, 5, 1, tzinfo=UTC), 7.1, *CENTRE, 12.0, rake=90.0, synthetic=True
)
QUICK = Table("quick", tuple(r for r in COSEISMIC if r.kernel not in {"hydrology", "river_distance"}))


def lonlat(grid: GeoBox) -> tuple[NDArray[Any], NDArray[Any]]:
    x, y = grid.transform * np.meshgrid(np.arange(grid.shape.x) + 0.5, np.arange(grid.shape.y) + 0.5)
    return (
        (x, y) if grid.crs == "EPSG:4326" else Transformer.from_crs(str(grid.crs), 4326, always_xy=True).transform(x, y)
    )


def height(lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[np.float32]:
    """Hills with waves of about 5 km; sea in the south-east."""
    z = 700 + 250 * np.sin(lon * 60) * np.cos(lat * 130) + 40 * np.sin(lat * 400)
    return np.where((lon > CENTRE[0] - 1e-4) & (lat < CENTRE[1] + 1e-4), 0, z).astype(np.float32)


def cover(lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[np.uint8]:
    return np.select([lat > 63.01, lon < -150.01], [10, 95], 30).astype(np.uint8)


def groups(lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[np.uint8]:
    return np.where(lon < -150.0, 1, 30).astype(np.uint8)


def greenness(lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[np.float32]:
    return (0.5 + 0.3 * np.sin(lon * 40)).astype(np.float32)


SCENE = Scene(
    bounds=Bounds(-150.6, 62.4, -149.4, 63.6),
    elevation=lambda grid: height(*lonlat(grid)),
    land_cover=lambda grid: cover(*lonlat(grid)),
    ndvi=lambda grid: greenness(*lonlat(grid)),
    soil=lambda grid: groups(*lonlat(grid)),
    faults=(np.array([[-150.1, 62.5], [-150.1, 63.5]]), np.array([[20.0, 10.0], [20.5, 10.0]])),
)


def grid_around(size: int = 300) -> GeoBox:
    """A UTM grid across the corner where the four tiles meet."""
    x, y = Transformer.from_crs(4326, 32605, always_xy=True).transform(*CENTRE)
    left, top = (round(v / 30) * 30 for v in (x - size * 15, y + size * 15))
    return GeoBox(wh_(size, size), Affine(30, 0, left, 0, -30, top), "EPSG:32605")


class _Counter(BaseHTTPRequestHandler):
    """Passes every request on to the S3 server, and counts the bytes of each file that come back."""

    protocol_version = "HTTP/1.1"
    behind: str
    sent: Counter[str]
    whole: list[str]

    def do_GET(self) -> None:
        self._pass_on()

    def do_HEAD(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        kept = {name: self.headers[name] for name in ("Range",) if name in self.headers}
        link = http.client.HTTPConnection(urlsplit(self.behind).netloc, timeout=20)
        link.request(self.command, self.path, headers=kept)
        answer = link.getresponse()
        body = answer.read()
        link.close()
        self.send_response(answer.status)
        for name in ("Content-Type", "Content-Range", "ETag", "Accept-Ranges", "Last-Modified"):
            if answer.headers.get(name):
                self.send_header(name, answer.headers[name])
        length = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)
        self.sent[self.path.lstrip("/")] += len(body)
        if self.command == "GET" and answer.status == 200:
            self.whole.append(self.path)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def mirror(s3_store: Any) -> Mirror:
    return publish_mirror(s3_store.server, SCENE, withheld=[WITHHELD], pixels_per_degree=1_200)


@pytest.fixture
def counted(mirror: Mirror) -> Iterator[tuple[str, Counter[str], list[str]]]:
    """Address of the mirror behind a counter, bytes by file, and files that were asked for without a range."""
    sent: Counter[str] = Counter()
    whole: list[str] = []
    handler = type("Counting", (_Counter,), {"behind": mirror.url, "sent": sent, "whole": whole})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", sent, whole
    server.shutdown()
    server.server_close()


FAULTS = "raw.githubusercontent.com/GEMScienceTools/gem-global-active-faults/master/geopackage"
DEM30, DEM90 = "copernicus-dem-30m", "copernicus-dem-90m"


def dem_key(bucket: str, tile: str) -> str:
    name = f"Copernicus_DSM_COG_{'10' if bucket == DEM30 else '30'}_{tile}_DEM"
    return f"{bucket}/{name}/{name}.tif"


def test_the_buckets_are_laid_out_and_named_as_the_public_ones(mirror: Mirror) -> None:
    assert set(mirror.sizes) == {
        dem_key(DEM30, "N63_00_W151_00"), dem_key(DEM30, "N62_00_W151_00"),
        dem_key(DEM90, "N63_00_W151_00"), dem_key(DEM90, "N62_00_W151_00"), dem_key(DEM90, "N63_00_W150_00"),
        "esa-worldcover/v200/2021/map/ESA_WorldCover_10m_2021_v200_N63W153_Map.tif",
        "esa-worldcover/v200/2021/map/ESA_WorldCover_10m_2021_v200_N63W150_Map.tif",
        "esa-worldcover/v200/2021/map/ESA_WorldCover_10m_2021_v200_N60W153_Map.tif",
        "esa-worldcover/v200/2021/map/ESA_WorldCover_10m_2021_v200_N60W150_Map.tif",
        *(f"esa-worldcover-s2/ndvi/2021/{ns}/ESA_WorldCover_10m_2021_v200_{ns}{ew}_NDVI.tif"
          for ns in ("N62", "N63") for ew in ("W150", "W151")),
        "files.isric.org/soilgrids/latest/data/wrb/MostProbable.vrt",
        "files.isric.org/soilgrids/latest/data/wrb/MostProbable/tileSG-000-000/tileSG-000-000_1-1.tif",
        f"{FAULTS}/gem_active_faults_harmonized.gpkg",
    }  # fmt: skip
    assert httpx.get(f"{mirror.url}/{dem_key(DEM30, 'N62_00_W150_00')}").status_code == 404
    assert httpx.get(f"{mirror.url}/{DEM30}").status_code == 403


@pytest.mark.parametrize(
    ("corner", "rows", "columns", "origin"),
    [
        ((-172, -14), 3600, 3600, (-172.000138888888898, -12.999861111111111)),
        ((-150, 63), 3600, 1800, (-150 - 1 / 3600, 64 + 0.5 / 3600)),
        ((10, -51), 3600, 2400, (10 - 0.5 / 2400, -50 + 0.5 / 3600)),
        ((10, 85), 3600, 360, (10 - 0.5 / 360, 86 + 0.5 / 3600)),
        ((10, 49), 1200, 1200, (10 - 0.5 / 1200, 50 + 0.5 / 1200)),
        ((10, 72), 1200, 400, (10 - 0.5 / 400, 73 + 0.5 / 1200)),
    ],
)
def test_grids_of_elevation_tiles(
    corner: tuple[int, int], rows: int, columns: int, origin: tuple[float, float]
) -> None:
    """Sizes by latitude as the bucket's own page states them; the first origin is that of a published file."""
    grid = dem_grid(*corner, rows)
    assert grid.shape == (rows, columns)
    assert (grid.transform.c, grid.transform.f) == pytest.approx(origin, abs=1e-12)


def test_files_are_cogs_of_the_published_form(mirror: Mirror) -> None:
    dem = f"/vsicurl/{mirror.url}/{dem_key(DEM30, 'N63_00_W151_00')}"
    with rasterio.open(dem) as file:
        assert (file.shape, file.dtypes, file.nodata) == ((3600, 1800), ("float32",), None)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags()["SYNTHETIC"] == "YES"
    ndvi = "esa-worldcover-s2/ndvi/2021/N63/ESA_WorldCover_10m_2021_v200_N63W151_NDVI.tif"
    with rasterio.open(f"/vsicurl/{mirror.url}/{ndvi}") as file:
        assert (file.count, file.dtypes[0], file.nodata) == (3, "uint8", 255)
    with rasterio.open(f"/vsicurl/{mirror.url}/files.isric.org/soilgrids/latest/data/wrb/MostProbable.vrt") as file:
        assert "Goode" in file.crs.wkt


def test_layers_are_those_of_the_scene(mirror: Mirror) -> None:
    registry = SourceRegistry.load(mirror=mirror.url)
    grid = grid_around()
    lon, lat = lonlat(grid)

    def layer(name: str) -> RasterLayer:
        return RasterLayer(name, registry[name])  # type: ignore[arg-type]

    coast = (abs(lon + 150) < 0.002) | (abs(lat - 63) < 0.001)
    elevation, land = layer("dem").elevation(grid, "bilinear")
    truth = height(lon, lat)
    np.testing.assert_array_equal((land == 1)[~coast], (truth > 0)[~coast])
    assert np.isfinite(elevation).all()
    clear = binary_erosion(truth > 0, iterations=5, border_value=1)
    np.testing.assert_allclose(elevation[clear], truth[clear], atol=4)
    assert np.abs(elevation - truth)[clear].mean() < 0.5
    found = layer("land_cover").codes(grid, "mode")
    edge = (abs(lat - 63.01) < 0.002) | (abs(lon + 150.01) < 0.002)
    np.testing.assert_array_equal(found[~edge], cover(lon, lat)[~edge])
    np.testing.assert_allclose(layer("ndvi").continuous(grid, "average"), greenness(lon, lat), atol=0.02)
    soil = layer("soil").codes(grid, "nearest")
    edge = abs(lon + 150) < 0.006
    np.testing.assert_array_equal(soil[~edge], groups(lon, lat)[~edge])
    lines, _ = read_lines("faults", registry["faults"], grid, reach_m=20_000)  # type: ignore[arg-type]
    assert len(lines) == 1
    fault_x, _ = Transformer.from_crs(4326, 32605, always_xy=True).transform(-150.1, 63.0)
    assert abs(np.interp(grid.boundingbox.bottom + 4500, lines[0][:, 1], lines[0][:, 0]) - fault_x) < 100


def test_a_profile_reads_its_own_bucket(mirror: Mirror) -> None:
    registry = SourceRegistry.load(profile="dem90", mirror=mirror.url)
    source = RasterLayer("dem", registry["dem"])  # type: ignore[arg-type]
    grid = grid_around(60)
    elevation, _ = source.elevation(grid, "bilinear")
    lon, lat = lonlat(grid)
    inland = lat > 63.002
    np.testing.assert_allclose(elevation[inland], height(lon, lat)[inland], atol=5)
    assert all(f"/{DEM90}/" in href for href in source.lineage()["files"])


def test_a_cube_of_the_packaged_registry_is_made_of_ranges(
    counted: tuple[str, Counter[str], list[str]], mirror: Mirror, tmp_path: Path
) -> None:
    url, sent, whole = counted
    grid = grid_around()
    coarse = GeoBox(wh_(30, 30), Affine(1 / 30, 0, -150.5, 0, -1 / 30, 63.5), "EPSG:4326")
    pga = np.full((30, 30), 0.3, np.float32)
    cube = build_cube(
        LocalStore(tmp_path), "c.zarr", event=QUAKE, shaking=Shaking(coarse, pga, pgv=pga * 100, vs30=pga * 1000),
        extent=Extent(grid, cut_by_shakemap_edge=False), table=QUICK, registry=SourceRegistry.load(mirror=url),
        lineage={"source": "test"}, workers=1, timeout_s=20.0,
    )  # fmt: skip
    names = ("elevation", "land", "slope", "land_cover", "ndvi", "soil", "fault_distance", "pga")
    got = dict(zip(names, cube.read(names, Window(0, 0, *grid.shape)), strict=True))
    lon, lat = lonlat(grid)
    truth = height(lon, lat)
    clear = binary_erosion(truth > 0, iterations=5, border_value=1)
    np.testing.assert_allclose(got["elevation"][clear], truth[clear], atol=4)
    assert np.isfinite(got["slope"][clear]).all()
    assert (got["elevation"][(lon > -149.995) & (lat < 62.998)] == 0).all()
    assert np.isnan(got["slope"][(lon > -149.995) & (lat < 62.998)]).all()
    assert set(np.unique(got["land_cover"][clear])) == {10, 30, 95}
    assert set(np.unique(got["soil"][clear])) == {1, 30}
    np.testing.assert_allclose(got["ndvi"][clear], greenness(lon, lat)[clear], atol=0.02)
    assert cube.missing["lithology"].startswith("GLiM is not published as a raster")
    dem = cube.attributes["headscarp:sources"]["dem"]
    assert dem["published"].startswith("https://copernicus-dem-30m.s3.amazonaws.com/")
    assert dem["files"][f"{url}/{dem_key(DEM30, 'N63_00_W150_00')}"] == "absent"
    assert [href for f in dem["fallback"] for href, found in f["files"].items() if found != "absent"] == [
        f"{url}/{dem_key(DEM90, 'N63_00_W150_00')}"
    ]
    rasters = [key for key in mirror.sizes if key.startswith(("copernicus", "esa")) and sent[key]]
    assert len(rasters) >= 9
    assert not [path for path in whole if path.lstrip("/") in rasters]


def test_a_window_costs_the_blocks_it_touches(counted: tuple[str, Counter[str], list[str]], mirror: Mirror) -> None:
    url, sent, whole = counted
    source = RasterLayer("dem", SourceRegistry.load(mirror=url)["dem"])  # type: ignore[arg-type]
    source.elevation(grid_around(), "bilinear")
    sizes = {key: mirror.sizes[key] for key in sent if key in mirror.sizes}
    assert len(sizes) == 3
    assert not whole
    assert all(sent[key] < 0.4 * size for key, size in sizes.items())
    assert sum(sent.values()) < 0.2 * sum(sizes.values())


def test_a_synthetic_world_can_be_mirrored(s3_store: Any) -> None:
    world = make_world(5, shape=(128, 128))
    mirror = publish_mirror(s3_store.server, scene_of(world), pixels_per_degree=1_200)
    registry = SourceRegistry.load(mirror=mirror.url)
    elevation, land = RasterLayer("dem", registry["dem"]).elevation(world.grid, "bilinear")  # type: ignore[arg-type]
    known = binary_erosion(np.isfinite(world.elevation) & world.land, iterations=3)
    assert (land[known] == 1).all()
    assert np.abs(elevation[known] - world.elevation[known]).mean() < 3
    plants = RasterLayer("land_cover", registry["land_cover"]).codes(world.grid, "nearest")  # type: ignore[arg-type]
    assert (plants[known] == world.land_cover[known]).mean() > 0.6
