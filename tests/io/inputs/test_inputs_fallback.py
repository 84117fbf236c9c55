"""Where a tile of the preferred source is absent, the fallback's is read, joined without a gap, and recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from headscarp.errors import BadRaster, SourceUnavailable
from headscarp.io.inputs import rasters
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceSpec

FINE, COARSE = 1 / 1200, 1 / 400
MIDDLE = (21, 39)
"""The tile that the fine release withholds; its southern and south-eastern neighbours are sea."""
SEA = {(21, 38), (22, 38)}


def hills(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return (800 + 300 * np.sin(lon * 30) * np.cos(lat * 25)).astype(np.float32)


def write_tile(folder: Path, corner: tuple[int, int], pixel: float, name: str, *, south_up: bool = False) -> None:
    """A tile whose pixel centres begin on its northern and western edge, as those of the Copernicus DEM."""
    side = round(1 / pixel)
    transform = Affine(pixel, 0, corner[0] - pixel / 2, 0, -pixel, corner[1] + 1 + pixel / 2)
    if south_up:
        transform = transform * Affine.translation(0, side) * Affine.scale(1, -1)
    lon, lat = transform * np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    path = folder / f"{name}_N{corner[1]}E{corner[0]:03d}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=1, dtype="float32", crs="EPSG:4326",
        transform=transform, tiled=True,
    ) as target:  # fmt: skip
        target.write(hills(lon, lat), 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("withheld")
    for corner in [(x, y) for x in (20, 21, 22) for y in (38, 39, 40)]:
        if corner not in SEA:
            write_tile(folder, corner, COARSE, "coarse")
            if corner != MIDDLE:
                write_tile(folder, corner, FINE, "fine")
    return folder


def layer(folder: Path | str, coarse: Path | str | None = None, **fields: Any) -> RasterLayer:
    name = "_{ns}{lat:02d}{ew}{lon:03d}.tif"
    fallback = [{"href": f"{coarse or folder}/coarse{name}", "resolution": "9 arc seconds", "licence": "CC0"}]
    spec = {"href": f"{folder}/fine{name}", "absent_tile": "sea", "fallback": fallback, "licence": "CC-BY", **fields}
    return RasterLayer("dem", SourceSpec.model_validate(spec), timeout_s=1.0)


def around(lon: float, lat: float, size: int = 160) -> GeoBox:
    """A grid of 30 m pixels centred on a point, on the lattice of zone 34."""
    x, y = Transformer.from_crs(4326, 32634, always_xy=True).transform(lon, lat)
    left, top = (round(v / 30) * 30 for v in (x - size * 15, y + size * 15))
    return GeoBox(wh_(size, size), Affine(30, 0, left, 0, -30, top), "EPSG:32634")


def truth(grid: GeoBox) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = grid.transform * np.meshgrid(np.arange(grid.shape.x) + 0.5, np.arange(grid.shape.y) + 0.5)
    lon, lat = Transformer.from_crs(32634, 4326, always_xy=True).transform(x, y)
    return hills(lon, lat), lon, lat


@pytest.mark.parametrize("place", [(21.0, 39.5), (22.0, 39.5), (21.5, 40.0), (21.0, 40.0), (22.0, 40.0), (21.5, 39.5)])
def test_fine_and_coarse_tiles_meet_without_a_gap(folder: Path, place: tuple[float, float]) -> None:
    grid = around(*place)
    elevation, land = layer(folder).elevation(grid, "bilinear")
    expected, _, _ = truth(grid)
    assert (land == 1).all()
    # Half a fine pixel before its edge the value of the last pixel is kept.
    np.testing.assert_allclose(elevation, expected, atol=4)
    assert (np.abs(elevation - expected) > 2.5).mean() < 0.02


def test_without_a_bridge_there_would_be_a_gap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasters, "bridged", lambda patch, *_: patch)
    elevation, _ = layer(folder).elevation(around(22.0, 39.5), "bilinear")
    assert np.isnan(elevation).any()


def test_fine_pixels_are_preferred_where_both_are(folder: Path) -> None:
    grid = around(20.5, 39.5)
    elevation, _ = layer(folder).elevation(grid, "bilinear")
    alone, _ = layer(folder, fallback=[]).elevation(grid, "bilinear")
    np.testing.assert_array_equal(elevation, alone)


def test_absent_from_both_is_sea_and_lineage_tells_the_files_apart(folder: Path) -> None:
    source = layer(folder)
    grid = around(21.5, 39.0)
    elevation, land = source.elevation(grid, "bilinear")
    _, _, lat = truth(grid)
    inside = np.abs(lat - 39.0) > 0.005
    np.testing.assert_array_equal((land == 1)[inside], (lat > 39.0)[inside])
    assert (elevation[land == 0] == 0).all()
    told = source.lineage()
    name = f"{folder}/{{}}_N{{}}E021.tif"
    assert told["files"] == {name.format("fine", lat): "absent" for lat in (38, 39)}
    (fallback,) = told["fallback"]
    assert (fallback["licence"], fallback["resolution"]) == ("CC0", "9 arc seconds")
    assert fallback["files"][name.format("coarse", 38)] == "absent"
    assert len(fallback["files"][name.format("coarse", 39)]["sha256"]) == 64


def test_a_fallback_that_was_not_needed_is_not_mentioned(folder: Path) -> None:
    source = layer(folder)
    source.elevation(around(20.5, 39.5), "bilinear")
    assert "fallback" not in source.lineage()


def test_withheld_land_that_neither_has_is_unknown_and_no_sea(folder: Path, tmp_path: Path) -> None:
    bare = layer(folder, coarse=tmp_path, withheld=[[21, 39, 22, 40]])
    elevation, land = bare.elevation(around(21.5, 39.5), "bilinear")
    assert np.isnan(elevation).all()
    assert np.isnan(land).all()


def test_a_fallback_whose_host_is_down_is_no_sea_either(folder: Path) -> None:
    source = layer(folder, coarse="http://127.0.0.1:9")
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:9/coarse_N39E021"):
        source.elevation(around(21.5, 39.5), "bilinear")
    assert np.isfinite(source.elevation(around(20.5, 39.5), "bilinear")[0]).all()


def test_a_host_that_is_down_is_not_replaced_by_its_fallback(folder: Path) -> None:
    """A coarse block would be kept for good because of a short outage."""
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:9/fine_N39E020"):
        layer("http://127.0.0.1:9", coarse=folder).elevation(around(20.5, 39.5), "bilinear")


def test_values_are_the_same_whatever_the_window(folder: Path) -> None:
    source, whole_grid = layer(folder), around(22.0, 40.0)
    whole, _ = source.elevation(whole_grid, "bilinear")
    for y, x in ((0, 0), (61, 47), (90, 100)):
        part = GeoBox(wh_(60, 70), whole_grid.transform * Affine.translation(x, y), whole_grid.crs)
        np.testing.assert_array_equal(source.elevation(part, "bilinear")[0], whole[y : y + 70, x : x + 60])


def test_rows_of_a_fallback_may_run_from_south_to_north(folder: Path, tmp_path: Path) -> None:
    write_tile(tmp_path, MIDDLE, COARSE, "coarse", south_up=True)
    grid = around(22.0, 39.5)
    expected, _ = layer(folder).elevation(grid, "bilinear")
    found, _ = layer(folder, coarse=tmp_path).elevation(grid, "bilinear")
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_single_file_has_a_fallback_too(folder: Path, tmp_path: Path) -> None:
    there = f"{folder}/fine_N39E020.tif"
    spec = {"href": str(tmp_path / "none.tif"), "fallback": [{"href": there, "note": "second choice"}]}
    source = RasterLayer("dem", SourceSpec.model_validate(spec))
    source.check_terrain()
    assert np.isfinite(source.elevation(around(20.5, 39.5), "bilinear")[0]).all()
    assert source.lineage()["files"] == {spec["href"]: "absent"}
    assert list(source.lineage()["fallback"][0]["files"]) == [there]
    with pytest.raises(BadRaster, match=r"none\.tif: no such file"):
        RasterLayer(
            "dem", SourceSpec.model_validate({"href": spec["href"], "fallback": [{"href": "/no/b.tif"}]})
        ).check()
