"""Raster layers: tiles, sea, voids, codes, broken files and broken hosts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject
from scipy.ndimage import binary_erosion

from headscarp.errors import BadRaster, SourceUnavailable
from headscarp.io.inputs.origin import gdal_options, gdal_path
from headscarp.io.inputs.rasters import RasterLayer, fill_small_voids
from headscarp.io.inputs.sources import SourceSpec

PIXEL = 1 / 1200


def utm(width: int, height: int, *, x: float = 488_010, y: float = 4_328_010, epsg: int = 32634) -> GeoBox:
    return GeoBox(wh_(width, height), Affine(30, 0, x, 0, -30, y), f"EPSG:{epsg}")


def write(path: Path, values: np.ndarray, transform: Affine, crs: str | None = "EPSG:4326", **profile: Any) -> Path:
    bands = values if values.ndim == 3 else values[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=bands.shape[0],
        dtype=bands.dtype, crs=crs, transform=transform, tiled=True, blockxsize=256, blockysize=256, **profile,
    ) as target:  # fmt: skip
        target.write(bands)
    return path


def layer(name: str = "dem", **fields: Any) -> RasterLayer:
    return RasterLayer(name, SourceSpec.model_validate(fields), timeout_s=2.0)


def hills(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return (800 + 400 * np.sin(lon * 40) * np.cos(lat * 50)).astype(np.float32)


def degrees(west: float, north: float, width: int, height: int, pixel: float = PIXEL) -> tuple[np.ndarray, Affine]:
    transform = Affine(pixel, 0, west, 0, -pixel, north)
    lon, lat = transform * np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return hills(lon, lat), transform


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four one-degree tiles around 21 E 39 N, origins half a pixel off the degree; the south-east one is absent."""
    folder = tmp_path_factory.mktemp("tiles")
    for west, south in ((20, 38), (20, 39), (21, 39)):
        values, transform = degrees(west - PIXEL / 2, south + 1 + PIXEL / 2, 1200, 1200)
        write(folder / f"t_N{south}E{west:03d}.tif", values, transform)
    return folder


def template(folder: Path | str) -> str:
    return f"{folder}/t_{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif"


def test_tiles_are_one_surface_and_absent_ones_sea(tiles: Path, tmp_path: Path) -> None:
    grid = utm(800, 700)
    whole, transform = degrees(20 - PIXEL / 2, 40 + PIXEL / 2, 2400, 2400)
    whole[1200:, 1200:] = 0
    single = layer(href=str(write(tmp_path / "whole.tif", whole, transform)))
    tiled = layer(href=template(tiles), absent_tile="sea")
    elevation, land = tiled.elevation(grid, "bilinear")
    expected, expected_land = single.elevation(grid, "bilinear")
    np.testing.assert_array_equal(land, expected_land)
    assert (land == 0).any()
    assert (land == 1).any()
    inner = binary_erosion(land == 1, iterations=6, border_value=1)
    np.testing.assert_allclose(elevation[inner], expected[inner], atol=1e-3)
    assert (elevation[land == 0] == 0).all()


def test_absent_tiles_are_unknown_unless_they_are_known_to_be_sea(tiles: Path) -> None:
    grid = utm(100, 100, x=540_000, y=4_280_000)
    for fields in ({}, {"absent_tile": "sea", "withheld": [[20.5, 38.5, 22, 39.5]]}):
        elevation, land = layer(href=template(tiles), **fields).elevation(grid, "bilinear")
        assert np.isnan(elevation).all()
        assert np.isnan(land).all()


def test_tiles_of_different_width_meet_without_a_gap(tmp_path: Path) -> None:
    """North of 50 degrees the pixels of Copernicus GLO-30 are wider."""
    for south, wide in ((49, 1), (50, 1.5)):
        transform = Affine(PIXEL * wide, 0, 21 - PIXEL * wide / 2, 0, -PIXEL, south + 1 + PIXEL / 2)
        width = round(1200 / wide)
        lon, lat = transform * np.meshgrid(np.arange(width) + 0.5, np.arange(1200) + 0.5)
        write(tmp_path / f"t_N{south}E021.tif", (100 * lon + 1000 * lat - 40_000).astype(np.float32), transform)
    grid = utm(300, 300, x=530_000, y=5_543_000)
    elevation, _ = layer(href=template(tmp_path)).elevation(grid, "bilinear")
    assert np.isfinite(elevation).all()
    assert np.abs(np.diff(elevation, axis=0)).max() < 1.3


def test_values_are_the_same_whatever_the_window(tiles: Path) -> None:
    source = layer(href=template(tiles), absent_tile="sea")
    whole, _ = source.elevation(utm(500, 400), "bilinear")
    for y, x in ((0, 0), (133, 87), (301, 222)):
        part, _ = source.elevation(utm(90, 70, x=488_010 + 30 * x, y=4_328_010 - 30 * y), "bilinear")
        np.testing.assert_array_equal(part, whole[y : y + 70, x : x + 90])


def test_lineage_names_every_file_and_its_digest(tiles: Path) -> None:
    source = layer(href=template(tiles), absent_tile="sea", licence="CC0", attribution="me", epoch="2012")
    source.elevation(utm(800, 700), "bilinear")
    lineage = source.lineage()
    assert (lineage["licence"], lineage["attribution"], lineage["epoch"]) == ("CC0", "me", "2012")
    digest = hashlib.sha256((tiles / "t_N39E020.tif").read_bytes()).hexdigest()
    assert lineage["files"][str(tiles / "t_N39E020.tif")]["sha256"] == digest
    assert lineage["files"][str(tiles / "t_N38E021.tif")] == "absent"


def test_global_raster_is_read_across_the_antimeridian(tmp_path: Path) -> None:
    values = np.tile(np.arange(1, 361, dtype=np.uint16), (180, 1))
    path = write(tmp_path / "world.tif", values, Affine(1, 0, -180, 0, -1, 90))
    grid = utm(400, 50, x=815_000, y=8_000_000, epsg=32760)
    found = layer("ndvi", href=str(path)).continuous(grid, "nearest")
    assert set(np.unique(found)) == {1.0, 360.0}


def test_sea_rule_clamps_before_interpolation(tmp_path: Path) -> None:
    values = np.full((200, 200), -3000, np.int16)
    values[:, 100:] = 10
    path = write(tmp_path / "coast.tif", values, Affine(90, 0, 500_000, 0, -90, 4_300_000), "EPSG:32634")
    grid = utm(600, 600, x=500_000, y=4_300_000)
    elevation, land = layer(href=str(path)).elevation(grid, "bilinear")
    np.testing.assert_array_equal(land[:, :300], 0)
    np.testing.assert_array_equal(land[:, 300:], 1)
    assert elevation[:, 300:].min() >= 5
    depths, no_sea = layer(href=str(path), sea=None).elevation(grid, "bilinear")
    assert depths.min() == -3000
    assert (no_sea == 1).all()


@pytest.mark.parametrize(("size", "filled"), [((5, 30), True), ((30, 5), True), ((6, 6), False), ((1, 1), True)])
def test_voids_up_to_five_pixels_are_filled(size: tuple[int, int], filled: bool) -> None:
    plane = np.add.outer(np.arange(60) * 2.0, np.arange(60) * 3.0).astype(np.float32)
    holed = plane.copy()
    holed[20 : 20 + size[0], 20 : 20 + size[1]] = np.nan
    found = fill_small_voids(holed)
    assert np.isfinite(found).all() == filled
    np.testing.assert_array_equal(found[np.isfinite(holed)], plane[np.isfinite(holed)])
    assert np.nanmax(np.abs(found - plane)) < 12


def test_the_outside_of_a_dem_is_never_filled() -> None:
    holed = np.ones((40, 40), np.float32)
    holed[:3], holed[:, 38:], holed[20, 20] = np.nan, np.nan, np.nan
    found = fill_small_voids(holed)
    assert np.isnan(found[:3]).all()
    assert np.isnan(found[:, 38:]).all()
    assert found[20, 20] == 1


def test_codes_shift_and_keep_unknown_apart(tmp_path: Path) -> None:
    values = np.array([[0, 13, 29, 255], [7, 7, 300, -1]], np.int16)
    path = write(tmp_path / "soil.tif", values, Affine(30, 0, 500_000, 0, -30, 4_300_000), "EPSG:32634")
    soil = layer("soil", href=str(path), offset=1, nodata=255, scheme="wrb")
    found = soil.codes(utm(5, 2, x=500_000, y=4_300_000), "nearest")
    np.testing.assert_array_equal(found, [[1, 14, 30, 0, 0], [8, 8, 0, 0, 0]])


def test_scale_offset_and_nodata_of_the_file_hold_unless_overruled(tmp_path: Path) -> None:
    values = np.array([[10, 20], [30, 255]], np.uint8)
    path = write(tmp_path / "ndvi.tif", values, Affine(30, 0, 500_000, 0, -30, 4_300_000), "EPSG:32634", nodata=255)
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (0.01,), (-0.1,)
    grid = utm(2, 2, x=500_000, y=4_300_000)
    np.testing.assert_allclose(
        layer("ndvi", href=str(path)).continuous(grid, "nearest"), [[0, 0.1], [0.2, np.nan]], atol=1e-6
    )
    own = layer("ndvi", href=str(path), scale=1, offset=5, nodata=20).continuous(grid, "nearest")
    np.testing.assert_array_equal(own, [[15, np.nan], [35, np.nan]])


def test_normalised_difference_of_two_bands(tmp_path: Path) -> None:
    red = np.array([[1000, 0, 500]], np.uint16)
    infrared = np.array([[3000, 0, 500]], np.uint16)
    bands = np.stack([red, red, red, infrared])
    path = write(tmp_path / "s2.tif", bands, Affine(30, 0, 500_000, 0, -30, 4_300_000), "EPSG:32634", nodata=0)
    found = layer("ndvi", href=str(path), band=4, minus_band=1).continuous(utm(3, 1, x=500_000, y=4_300_000), "nearest")
    np.testing.assert_allclose(found, [[0.5, np.nan, 0.0]])


def test_gorkha_elevations_are_those_of_the_file(shared_data: Path) -> None:
    """The file is on the event lattice: values are copied, the gap between its clips stays open."""
    path = shared_data / "events/us_us20002926_gorkha2015_30m/dem_30m.tif"
    with rasterio.open(path) as dataset:
        grid = GeoBox(wh_(dataset.width, dataset.height), dataset.transform, str(dataset.crs))
        expected = dataset.read(1)
    elevation, land = layer(href=str(path)).elevation(grid, "bilinear")
    known = np.isfinite(expected)
    np.testing.assert_array_equal(elevation[known], expected[known])
    assert np.isnan(elevation).sum() > 0.9 * (~known).sum()
    np.testing.assert_array_equal(land == 1, np.isfinite(elevation))


def test_kashmir_elevations_agree_with_gdal(shared_data: Path) -> None:
    path = shared_data / "events/us_usp000e12e_kashmir2005/aw3d30.tif"
    with rasterio.open(path) as dataset:
        west, north = dataset.bounds.left // 30 * 30 + 3000, dataset.bounds.top // 30 * 30 - 3000
        grid = GeoBox(wh_(300, 300), Affine(30, 0, west, 0, -30, north), str(dataset.crs))
        expected = np.full((300, 300), np.nan, np.float32)
        reproject(
            rasterio.band(dataset, 1), expected, dst_transform=grid.transform, dst_crs=str(grid.crs),
            resampling=Resampling.bilinear, XSCALE=1, YSCALE=1,
        )  # fmt: skip
    elevation, _ = layer(href=str(path)).elevation(grid, "bilinear")
    np.testing.assert_allclose(elevation, expected, atol=0.05)


def test_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(600, 600)).astype(np.float32)
    grid = utm(400, 400, x=500_000, y=4_300_000)
    transform = Affine(30, 0, 500_000, 0, -30, 4_300_000)
    whole = write(tmp_path / "whole.tif", values, transform, "EPSG:32634", compress="deflate")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    bare = write(tmp_path / "bare.tif", values, transform, None)
    (tmp_path / "page.tif").write_text("<html>sign in</html>")
    for path, fields, words in (
        (cut, {}, "cut off or damaged|cannot be opened"),
        (bare, {}, "found no CRS"),
        (whole, {"band": 3}, r"expected band 3, found 1 band"),
        (tmp_path / "page.tif", {}, "cannot be opened as a raster"),
        (tmp_path / "none.tif", {}, "no such file"),
    ):
        with pytest.raises(BadRaster, match=words) as caught:
            layer(href=str(path), **fields).elevation(grid, "bilinear")
        assert str(path) in str(caught.value)


class _Host(SimpleHTTPRequestHandler):
    """Files by range, or an error for every path in `broken`."""

    broken: dict[str, int]

    def do_HEAD(self) -> None:
        self._answer(lambda: super(_Host, self).do_HEAD())

    def do_GET(self) -> None:
        self._answer(self._part)

    def _answer(self, fine: Any) -> None:
        status = self.broken.get(self.path)
        if status is None:
            fine()
        elif status == 200:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_error(status)

    def _part(self) -> None:
        path = Path(self.translate_path(self.path))
        if "Range" not in self.headers or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def host(tiles: Path) -> Iterator[tuple[str, dict[str, int]]]:
    broken: dict[str, int] = {}
    handler = type("Host", (_Host,), {"broken": broken})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tiles)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", broken
    server.shutdown()
    server.server_close()


def test_tiles_over_http_equal_tiles_on_disk(host: tuple[str, dict[str, int]], tiles: Path) -> None:
    grid = utm(800, 600)
    remote = layer(href=template(host[0]), absent_tile="sea")
    found = remote.elevation(grid, "bilinear")
    for one, other in zip(
        found, layer(href=template(tiles), absent_tile="sea").elevation(grid, "bilinear"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    files = remote.lineage()["files"]
    assert files[f"{host[0]}/t_N39E020.tif"]["bytes"] == (tiles / "t_N39E020.tif").stat().st_size
    assert files[f"{host[0]}/t_N38E021.tif"] == "absent"


@pytest.mark.parametrize("status", [403, 500, 503, 200])
def test_a_host_in_trouble_is_unavailable_not_absent(host: tuple[str, dict[str, int]], status: int) -> None:
    url, broken = host
    grid = utm(50, 50)
    broken["/t_N39E020.tif"] = status
    with pytest.raises(SourceUnavailable, match=r"t_N39E020\.tif"):
        layer(href=template(url), absent_tile="sea").elevation(grid, "bilinear")
    broken.clear()
    elevation, _ = layer(href=template(url), absent_tile="sea").elevation(grid, "bilinear")
    assert np.isfinite(elevation).all()


def test_a_host_that_breaks_between_header_and_pixels(host: tuple[str, dict[str, int]]) -> None:
    """GDAL must not remember the failure either."""
    url, broken = host
    source = layer(href=f"{url}/t_N39E020.tif")
    source.check()
    broken["/t_N39E020.tif"] = 404
    with pytest.raises(SourceUnavailable, match=r"cut off|cannot be opened"):
        source.elevation(utm(50, 50), "bilinear")
    broken.clear()
    assert np.isfinite(source.elevation(utm(50, 50), "bilinear")[0]).all()


def test_nobody_listens() -> None:
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1"):
        layer(href="http://127.0.0.1:9/dem.tif").check()


def test_settings_of_an_s3_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8333")
    options = gdal_options(5)
    assert options["AWS_S3_ENDPOINT"] == "127.0.0.1:8333"
    assert (options["AWS_HTTPS"], options["AWS_VIRTUAL_HOSTING"]) == ("NO", "FALSE")
    assert "AWS_NO_SIGN_REQUEST" not in options
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example.org")
    assert gdal_options(5)["AWS_HTTPS"] == "YES"
    assert gdal_options(5)["AWS_NO_SIGN_REQUEST"] == "YES"
    assert gdal_path("s3://bucket/a/b.tif") == "/vsis3/bucket/a/b.tif"
