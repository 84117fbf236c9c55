"""Input that is not what it says: a clear error or an unknown value, never a silent zero."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.errors import BadRaster, SourceUnavailable
from headscarp.io.inputs.origin import ATTEMPTS
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceSpec

UTM = Affine(30, 0, 500_010, 0, -30, 4_300_020)
GRID = GeoBox(wh_(90, 80), UTM * Affine.translation(5, 10), "EPSG:32634")
ENGINEERING = 'LOCAL_CS["quarry grid",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'


def write(path: Path, values: np.ndarray, transform: Affine = UTM, crs: str = "EPSG:32634", **profile: Any) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs=crs, transform=transform, **profile,
    ) as target:  # fmt: skip
        target.write(values, 1)
    return path


def layer(name: str = "dem", *, timeout_s: float = 1.0, **fields: Any) -> RasterLayer:
    return RasterLayer(name, SourceSpec.model_validate(fields), timeout_s=timeout_s)


def mountain() -> np.ndarray:
    y, x = np.mgrid[:120, :110]
    return (900 + 6 * x + 4 * y + 200 * np.sin(x / 9) * np.cos(y / 7)).astype(np.float32)


class TestPlace:
    @pytest.mark.parametrize(
        ("crs", "transform", "words"),
        [
            ("EPSG:32634", Affine(1 / 3600, 0, 21, 0, -1 / 3600, 39), r"pixels of 0\.000277778 m: degrees\?"),
            ("EPSG:4326", UTM, "expected degrees as 'WGS 84' has"),
            ("EPSG:4326", Affine(0.01, 0, 21, 0, -0.01, 120), "expected degrees"),
            ("EPSG:4978", UTM, "expected a geographic or projected CRS, found Geocentric CRS"),
            (ENGINEERING, UTM, "expected a geographic or projected CRS, found .* 'quarry grid'"),
            ("EPSG:32634", UTM * Affine.rotation(30), "found a rotated or mirrored raster"),
            ("EPSG:32634", UTM * Affine.scale(-1, 1), "found a rotated or mirrored raster"),
        ],
    )
    def test_a_crs_that_cannot_be_meant_is_refused(
        self, tmp_path: Path, crs: str, transform: Affine, words: str
    ) -> None:
        path = write(tmp_path / "dem.tif", mountain(), transform, crs)
        for read in (layer(href=str(path)).check, lambda: layer(href=str(path)).elevation(GRID, "bilinear")):
            with pytest.raises(BadRaster, match=words) as caught:
                read()
            assert str(path) in str(caught.value)

    def test_a_tile_in_metres_is_refused(self, tmp_path: Path) -> None:
        for east in range(19, 24):
            for north in range(37, 41):
                write(tmp_path / f"N{north}E{east:03d}.tif", mountain())
        tiles = layer(href=f"{tmp_path}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif")
        with pytest.raises(BadRaster, match=r"expected a tile in degrees, found EPSG:32634"):
            tiles.elevation(GRID, "bilinear")

    def test_another_valid_place_is_unknown_and_not_zero(self, tmp_path: Path) -> None:
        path = write(tmp_path / "dem.tif", mountain(), crs="EPSG:32635")
        elevation, land = layer(href=str(path)).elevation(GRID, "bilinear")
        assert np.isnan(elevation).all()
        assert np.isnan(land).all()

    @pytest.mark.parametrize("resampling", ["bilinear", "nearest", "cubic"])
    def test_rows_may_run_from_south_to_north(self, tmp_path: Path, resampling: str) -> None:
        plain = layer(href=str(write(tmp_path / "plain.tif", mountain())))
        flipped = UTM * Affine.translation(0, 120) * Affine.scale(1, -1)
        turned = layer(href=str(write(tmp_path / "turned.tif", mountain()[::-1], flipped)))
        whole, land = turned.elevation(GRID, resampling)
        np.testing.assert_array_equal(whole, plain.elevation(GRID, resampling)[0])
        assert (land == 1).all()
        part = GeoBox(wh_(30, 20), GRID.transform * Affine.translation(40, 33), GRID.crs)
        np.testing.assert_array_equal(turned.elevation(part, resampling)[0], whole[33:53, 40:70])

    def test_rows_of_tiles_may_run_from_south_to_north(self, tmp_path: Path) -> None:
        pixel = 1 / 600
        tile = Affine(pixel, 0, 21, 0, -pixel, 39)
        values = np.add.outer(np.arange(600), 2 * np.arange(600)).astype(np.float32)
        found = []
        for name, transform, rows in (
            ("plain", tile, values), ("turned", tile * Affine.translation(0, 600) * Affine.scale(1, -1), values[::-1]),
        ):  # fmt: skip
            (tmp_path / name).mkdir()
            write(tmp_path / name / "N38E021.tif", rows, transform, "EPSG:4326")
            tiles = layer(href=f"{tmp_path}/{name}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif")
            found.append(tiles.elevation(GRID, "bilinear")[0])
        assert np.isfinite(found[0]).any()
        np.testing.assert_array_equal(*found)


class TestFill:
    @pytest.mark.parametrize("fill", [-32768, -9999, 32767, 1e20, -3.4e38, np.nan, np.inf, -np.inf])
    def test_fill_values_beside_the_declared_one_are_neither_sea_nor_ground(self, tmp_path: Path, fill: float) -> None:
        clean = mountain()
        clean[40:60, 30:50] = np.nan
        clean[20:23, 70:73] = np.nan
        mixed = clean.copy()
        mixed[np.isnan(mixed)] = -99
        mixed[45:55, 35:45] = fill
        mixed[21, 71] = fill
        expected, expected_land = layer(href=str(write(tmp_path / "a.tif", clean))).elevation(GRID, "bilinear")
        path = write(tmp_path / "b.tif", mixed, nodata=-99)
        elevation, land = layer(href=str(path)).elevation(GRID, "bilinear")
        np.testing.assert_array_equal(elevation, expected)
        np.testing.assert_array_equal(land, expected_land)
        assert np.isnan(elevation[35, 30])
        assert np.isnan(land[35, 30])
        assert np.isfinite(elevation[12, 66])

    def test_tiles_may_each_have_their_own(self, tmp_path: Path) -> None:
        pixel = 1 / 600
        for east, nodata in ((20, -9999), (21, 0)):
            values = np.full((600, 600), 500, np.int16)
            values[:, ::50] = nodata
            write(
                tmp_path / f"N38E{east:03d}.tif",
                values,
                Affine(pixel, 0, east, 0, -pixel, 39),
                "EPSG:4326",
                nodata=nodata,
            )
        tiles = layer(href=f"{tmp_path}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif")
        elevation, land = tiles.elevation(
            GeoBox(wh_(400, 60), GRID.transform * Affine.translation(-200, 0), GRID.crs), "bilinear"
        )
        np.testing.assert_allclose(elevation, 500, rtol=1e-6)
        assert (land == 1).all()

    def test_an_infinite_value_of_any_layer_is_unknown(self, tmp_path: Path) -> None:
        values = np.full((120, 110), 0.5, np.float32)
        values[30:60] = np.inf
        found = layer("ndvi", href=str(write(tmp_path / "ndvi.tif", values))).continuous(GRID, "average")
        assert np.isnan(found[25:45]).all()
        np.testing.assert_allclose(found[:15], 0.5)


class TestTerrain:
    def test_the_same_elevation_everywhere_is_no_terrain(self, tmp_path: Path) -> None:
        flat = np.full((120, 110), 437.5, np.float32)
        path = write(tmp_path / "flat.tif", flat)
        with pytest.raises(BadRaster, match=r"flat\.tif: expected terrain, found 437\.5 m everywhere"):
            layer(href=str(path)).check_terrain()
        flat[60, 55] += 1
        layer(href=str(write(tmp_path / "nearly.tif", flat))).check_terrain()
        layer(href=str(write(tmp_path / "sea.tif", np.zeros((120, 110), np.float32)))).check_terrain()
        layer("ndvi", href=str(path)).check()

    @pytest.mark.parametrize(("unit", "factor"), [("ft", 0.3048), ("us-ft", 1200 / 3937), ("m", 1.0), (None, 1.0)])
    def test_feet_are_converted(self, tmp_path: Path, unit: str | None, factor: float) -> None:
        metres = mountain()
        metres[:, :20] = -4
        path = write(tmp_path / "dem.tif", (metres / factor).astype(np.float32))
        elevation, land = layer(href=str(path), unit=unit).elevation(GRID, "bilinear")
        expected, expected_land = layer(href=str(write(tmp_path / "m.tif", metres))).elevation(GRID, "bilinear")
        np.testing.assert_allclose(elevation, expected, rtol=1e-5)
        np.testing.assert_array_equal(land, expected_land)

    def test_the_file_may_say_feet_itself_but_not_against_the_registry(self, tmp_path: Path) -> None:
        path = write(tmp_path / "dem.tif", mountain())
        with rasterio.open(path, "r+") as target:
            target.units = ("US survey foot",)
        elevation, _ = layer(href=str(path)).elevation(GRID, "bilinear")
        metres, _ = layer(href=str(path), unit="us-ft").elevation(GRID, "bilinear")
        np.testing.assert_array_equal(elevation, metres)
        assert elevation.max() < 0.31 * mountain().max()
        with pytest.raises(BadRaster, match=r"expected elevations in m, found a file that says 'US survey foot'"):
            layer(href=str(path), unit="m").elevation(GRID, "bilinear")

    def test_units_that_are_no_length_are_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "dem.tif", mountain())
        with pytest.raises(BadRaster, match=r"expected elevations in one of .*found unit 'fathom'"):
            layer(href=str(path), unit="fathom").check_terrain()

    def test_heights_that_no_mountain_has_are_flagged(self, tmp_path: Path) -> None:
        feet = mountain() * np.float32(7)
        source = layer(href=str(write(tmp_path / "dem.tif", feet)))
        elevation, _ = source.elevation(GRID, "bilinear")
        assert elevation.max() > 9000
        assert source.lineage()["suspect"] == ["elevations above 9000 m: if the file is in feet, state `unit: ft`"]
        plain = layer(href=str(write(tmp_path / "m.tif", mountain())))
        plain.elevation(GRID, "bilinear")
        assert "suspect" not in plain.lineage()


class _Troubled(BaseHTTPRequestHandler):
    """One file, served with the fault of the path it is asked for by."""

    content: bytes

    def do_HEAD(self) -> None:
        if "slow-head" in self.path:
            time.sleep(5)
        self._head(200, len(self.content))

    def do_GET(self) -> None:
        if "slow" in self.path:
            time.sleep(5)
        if "page" in self.path:
            body = b"<html>please sign in</html>" * 40
            self._head(200, len(body), "text/html")
            self.wfile.write(body)
            return
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = self.content[int(first) : int(last or len(self.content)) + 1]
        if not part:
            self._head(416, 0)
            return
        total = len(self.content)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{total}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def _head(self, status: int, length: int, kind: str = "image/tiff") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A host of half a COG."""
    rough = np.random.default_rng(1).normal(500, 90, (600, 600)).astype(np.float32)
    path = write(tmp_path_factory.mktemp("host") / "cut.tif", rough, tiled=True, blockxsize=128, blockysize=128)
    whole = path.read_bytes()
    handler = type("Troubled", (_Troubled,), {"content": whole[: len(whole) // 3]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  clients that gave up are part of the test
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class TestHost:
    def test_a_cog_that_is_cut_off(self, host: str) -> None:
        south = GeoBox(wh_(50, 50), UTM * Affine.translation(300, 500), GRID.crs)
        source = layer(href=f"{host}/cut.tif")
        with pytest.raises(SourceUnavailable, match=r"cut\.tif: (cut off or damaged|cannot be opened)"):
            source.elevation(south, "bilinear")

    def test_a_page_instead_of_the_file(self, host: str) -> None:
        with pytest.raises(SourceUnavailable, match=r"page\.tif: cannot be opened as a raster"):
            layer(href=f"{host}/page.tif").elevation(GRID, "bilinear")

    @pytest.mark.parametrize("path", ["slow-head.tif", "slow.tif"])
    def test_a_host_slower_than_the_time_out(self, host: str, path: str) -> None:
        begun = time.monotonic()
        with pytest.raises(SourceUnavailable, match=path):
            layer(href=f"{host}/{path}", timeout_s=0.5).elevation(GRID, "bilinear")
        # GDAL asks twice for the head of a file, each time with its retries and the pauses between them.
        assert time.monotonic() - begun < 2 * ATTEMPTS * (0.5 + 2) + 3
