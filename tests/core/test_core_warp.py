"""Sampling against scipy, numpy and GDAL, on synthetic fields."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.warp import Resampling, reproject
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import map_coordinates

from headscarp.core.warp import Patch, interpolate, mosaic, on_lattice, project, sample, sample_codes

WGS84 = CRS.from_epsg(4326)
SOURCE = Affine(1 / 1200, 0, 20.2, 0, -1 / 1200, 39.0)


def utm(width: int, height: int, *, x: float = 450_000, y: float = 4_300_000, epsg: int = 32634) -> GeoBox:
    return GeoBox(wh_(width, height), Affine(30, 0, x, 0, -30, y), f"EPSG:{epsg}")


def window(grid: GeoBox, y: int, x: int, height: int, width: int) -> GeoBox:
    return GeoBox(wh_(width, height), grid.transform * Affine.translation(x, y), grid.crs)


def centres(grid: GeoBox, crs: CRS) -> tuple[np.ndarray, np.ndarray]:
    columns, rows = np.meshgrid(np.arange(grid.shape.x) + 0.5, np.arange(grid.shape.y) + 0.5)
    x, y = grid.transform * (columns, rows)
    return Transformer.from_crs(str(grid.crs), crs, always_xy=True).transform(x, y)


@pytest.fixture(scope="module")
def rough() -> np.ndarray:
    return np.random.default_rng(5).normal(0, 100, (900, 1000)).astype(np.float32)


@pytest.mark.parametrize(("resampling", "order"), [("bilinear", 1), ("nearest", 0)])
def test_agrees_with_scipy_at_exactly_projected_centres(rough: np.ndarray, resampling: str, order: int) -> None:
    grid = utm(300, 200)
    lon, lat = centres(grid, WGS84)
    columns, rows = ~SOURCE * (lon, lat)
    expected = map_coordinates(rough.astype(float), [rows - 0.5, columns - 0.5], order=order)
    found = sample(Patch(rough, SOURCE), project(grid, WGS84), resampling)
    close = np.abs(found - expected) < 0.05
    assert close.mean() > (0.9999 if order == 0 else 0.99999)


def test_cubic_agrees_with_gdal_on_a_shifted_grid_of_the_same_crs(rough: np.ndarray) -> None:
    grid = utm(200, 150)
    shifted = grid.transform * Affine.translation(-7.3, -5.6)
    expected = np.full(grid.shape, np.nan, np.float32)
    reproject(
        rough, expected, src_transform=shifted, src_crs="EPSG:32634", dst_transform=grid.transform,
        dst_crs="EPSG:32634", resampling=Resampling.cubic, init_dest_nodata=False,
    )  # fmt: skip
    found = sample(Patch(rough, shifted), project(grid, CRS.from_epsg(32634)), "cubic")
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_same_lattice_is_copied_bit_by_bit(rough: np.ndarray) -> None:
    grid = utm(200, 150)
    source = grid.transform * Affine.translation(-40, -30)
    for resampling in ("nearest", "bilinear", "cubic", "average"):
        found = sample(Patch(rough, source), project(grid, CRS.from_epsg(32634)), resampling)
        np.testing.assert_array_equal(found, rough[30:180, 40:240])


@settings(max_examples=25, deadline=None)
@given(y=st.integers(0, 150), x=st.integers(0, 250), height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_pixel_does_not_depend_on_its_window(y: int, x: int, height: int, width: int) -> None:
    rough = np.random.default_rng(5).normal(0, 100, (900, 1000)).astype(np.float32)
    grid = utm(300, 200)
    whole = sample(Patch(rough, SOURCE), project(grid, WGS84), "bilinear")
    part = sample(Patch(rough, SOURCE), project(window(grid, y, x, height, width), WGS84), "bilinear")
    shared = whole[y : y + height, x : x + width]
    np.testing.assert_array_equal(part[: shared.shape[0], : shared.shape[1]], shared)


def test_average_and_mode_of_nine_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    grid = utm(50, 40)
    fine = grid.transform * Affine.scale(1 / 3)
    at = project(grid, CRS.from_epsg(32634))
    values = rng.normal(size=(120, 150)).astype(np.float32)
    blocks = values.reshape(40, 3, 50, 3).swapaxes(1, 2).reshape(40, 50, 9)
    np.testing.assert_allclose(sample(Patch(values, fine), at, "average"), blocks.mean(axis=2), rtol=1e-4, atol=1e-6)
    codes = rng.integers(0, 4, (120, 150)).astype(np.uint8)
    nine = codes.reshape(40, 3, 50, 3).swapaxes(1, 2).reshape(40, 50, 9)
    counts = np.stack([(nine == c).sum(axis=2) for c in range(4)])
    expected = np.where(counts[0] > 4, 0, 1 + counts[1:].argmax(axis=0))
    np.testing.assert_array_equal(sample_codes(Patch(codes, fine), at, "mode"), expected)


def test_average_of_a_finer_source_agrees_with_gdal(rough: np.ndarray) -> None:
    grid = utm(60, 50)
    fine = grid.transform * Affine.scale(1 / 5) * Affine.translation(-20, -15)
    expected = np.full(grid.shape, np.nan, np.float32)
    reproject(
        rough, expected, src_transform=fine, src_crs="EPSG:32634", dst_transform=grid.transform,
        dst_crs="EPSG:32634", resampling=Resampling.average, init_dest_nodata=False,
    )  # fmt: skip
    found = sample(Patch(rough, fine), project(grid, CRS.from_epsg(32634)), "average")
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_missing_pixels_neither_grow_nor_shrink() -> None:
    source = np.ones((40, 40), np.float32)
    source[10:20, 10:20] = np.nan
    grid = utm(80, 80)
    coarse = grid.transform * Affine.scale(2)
    found = sample(Patch(source, coarse), project(grid, CRS.from_epsg(32634)), "bilinear")
    expected = np.ones((80, 80), np.float32)
    expected[20:40, 20:40] = np.nan
    np.testing.assert_array_equal(found, expected)


def test_outside_the_source_is_missing() -> None:
    grid = utm(80, 80)
    source = grid.transform * Affine.translation(10, 20)
    found = sample(Patch(np.ones((30, 30), np.float32), source), project(grid, CRS.from_epsg(32634)), "bilinear")
    assert np.isfinite(found).sum() == 900
    assert np.isfinite(found[20:50, 10:40]).all()


def test_longitudes_run_on_across_the_antimeridian() -> None:
    grid = utm(400, 300, x=815_000, y=8_000_000, epsg=32760)
    at = project(grid, WGS84)
    assert np.abs(np.diff(at.x, axis=1)).max() < 0.01
    lon, lat = centres(grid, WGS84)
    west = Affine(0.01, 0, -180.0, 0, -0.01, -17.0)
    east = Affine(0.01, 0, 179.0, 0, -0.01, -17.0)
    field = np.arange(20_000, dtype=np.float32).reshape(200, 100)
    both = [sample(Patch(field, t), at.shifted(turn), "nearest") for t in (west, east) for turn in (0, 360, -360)]
    covered = np.isfinite(both).sum(axis=0)
    inside = (np.abs(lon) > 179.01) & (lat < -17.01) & (lat > -18.99)
    assert (covered[inside] == 1).all()
    assert ((lon > 0) & inside).any()
    assert ((lon < 0) & inside).any()


@pytest.fixture(scope="module")
def shakemap() -> tuple[GeoBox, np.ndarray]:
    grid = GeoBox(wh_(30, 40), Affine(1 / 60, 0, 20.2, 0, -1 / 60, 39.1), "EPSG:4326")
    return grid, np.exp(np.random.default_rng(3).normal(-2, 0.7, (40, 30))).astype(np.float32)


@pytest.mark.parametrize("ln", [True, False])
def test_shaking_agrees_with_scipy(shakemap: tuple[GeoBox, np.ndarray], ln: bool) -> None:
    coarse, field = shakemap
    grid = utm(700, 600, x=440_000)
    lon, lat = centres(grid, WGS84)
    x, _ = coarse.transform * (np.arange(30) + 0.5, np.zeros(30))
    _, y = coarse.transform * (np.zeros(40), np.arange(40) + 0.5)
    values = np.log(field.astype(float)) if ln else field.astype(float)
    oracle = RegularGridInterpolator((y[::-1], x), values[::-1])((lat, lon))
    found = interpolate(field, coarse, project(grid, WGS84), ln=ln)
    np.testing.assert_allclose(found, np.exp(oracle) if ln else oracle, rtol=1e-4)


def test_shaking_is_exact_at_its_nodes(shakemap: tuple[GeoBox, np.ndarray]) -> None:
    coarse, field = shakemap
    at = project(coarse, WGS84)
    np.testing.assert_allclose(interpolate(field, coarse, at, ln=True), field, rtol=3e-7)
    np.testing.assert_array_equal(interpolate(field, coarse, at, ln=False), field)


def test_shaking_holds_for_one_cell_outside_the_map(shakemap: tuple[GeoBox, np.ndarray]) -> None:
    coarse, field = shakemap
    wider = GeoBox(wh_(36, 46), coarse.transform * Affine.translation(-3, -3), coarse.crs)
    found = interpolate(field, coarse, project(wider, WGS84), ln=True)
    assert np.isnan(found[[0, 1, -2, -1]]).all()
    np.testing.assert_allclose(found[2, 3:-3], field[0], rtol=3e-7)
    np.testing.assert_allclose(found[3:-3, -3], field[:, -1], rtol=3e-7)


def test_shaking_keeps_missing_and_zero_cells_apart() -> None:
    coarse = GeoBox(wh_(8, 6), Affine(0.1, 0, 20, 0, -0.1, 39), "EPSG:4326")
    field = np.full((6, 8), 0.2, np.float32)
    field[2, 2], field[4, 6] = np.nan, 0.0
    found = interpolate(field, coarse, project(coarse.zoom_out(1 / 5), WGS84), ln=True)
    assert np.isnan(found[12, 12])
    assert np.isnan(found).sum() == 25
    assert found[22, 32] == 0.0
    finite = found[np.isfinite(found)]
    assert ((finite == 0) | np.isclose(finite, 0.2)).all()


def test_shaking_found_whichever_way_longitude_is_counted() -> None:
    coarse = GeoBox(wh_(40, 40), Affine(0.1, 0, 178, 0, -0.1, -17), "EPSG:4326")
    field = np.tile(np.linspace(0.1, 0.5, 40, dtype=np.float32), (40, 1))
    grid = utm(400, 300, x=815_000, y=8_000_000, epsg=32760)
    lon, _ = centres(grid, WGS84)
    found = interpolate(field, coarse, project(grid, WGS84), ln=False)
    expected = 0.1 + 0.4 * ((lon % 360) - 178.05) / 3.9
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_mosaic_joins_tiles_of_one_lattice_and_leaves_others_apart() -> None:
    whole = np.arange(200, dtype=np.float32).reshape(10, 20)
    west = on_lattice(whole[:, :12], SOURCE)
    east = on_lattice(whole[:, 9:], SOURCE * Affine.translation(9, 0))
    other = on_lattice(np.zeros((2, 2), np.float32), SOURCE * Affine.scale(1.5))
    joined, alone = mosaic([east, west, other], np.nan)
    np.testing.assert_array_equal(joined.values, whole)
    assert (joined.lattice * Affine.translation(joined.column, joined.row)).almost_equals(SOURCE, 1e-9)
    assert alone.values.shape == (2, 2)


def test_tiles_agree_on_their_lattice_bit_by_bit() -> None:
    """Origins half a pixel west and north of whole degrees, as those of Copernicus GLO-30."""
    pixel = 1 / 3600
    tiles = [on_lattice(np.zeros((1, 1)), Affine(pixel, 0, x - pixel / 2, 0, -pixel, y + pixel / 2))
             for x in (-180, -1, 0, 20, 84, 179) for y in (-44, 0, 1, 28, 39)]  # fmt: skip
    assert len({tile.lattice for tile in tiles}) == 1


def test_rotated_grids_are_refused() -> None:
    turned = GeoBox(wh_(4, 4), Affine.rotation(10) * Affine.scale(30, -30), "EPSG:32634")
    with pytest.raises(ValueError, match="north-up"):
        project(turned, WGS84)
