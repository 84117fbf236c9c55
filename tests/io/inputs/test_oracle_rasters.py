"""Rasters read onto the grid against GDAL's warper and against exactly projected pixel centres.

Ours interpolates positions between nodes 16 pixels apart; GDAL is told to project every pixel
(its default may be off by an eighth of one) and to keep the width of its kernel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from scipy import ndimage

from headscarp.core.grid import utm_crs
from headscarp.core.warp import Patch, project, sample_codes
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceSpec
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.legends import WORLDCOVER

Field = NDArray[np.float64]
METHODS = {row.name: row.resampling for row in COSEISMIC if row.source}
HOMOLOSINE = "+proj=igh +datum=WGS84 +units=m"
"""Goode's interrupted projection, in which SoilGrids is published."""


def layer(name: str, path: Path, **fields: Any) -> RasterLayer:
    return RasterLayer(name, SourceSpec.model_validate({"href": str(path), **fields}), timeout_s=2.0)


def around(longitude: float, latitude: float, *, side: int = 300) -> GeoBox:
    crs = utm_crs(longitude, latitude)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(longitude, latitude)
    west, north = (x // 30 - side // 2) * 30, (y // 30 + side // 2) * 30
    return GeoBox(wh_(side, side), Affine(30, 0, west, 0, -30, north), crs.to_epsg())


def write(path: Path, values: NDArray[Any], transform: Affine, crs: str = "EPSG:4326", **profile: Any) -> Path:
    bands = values if values.ndim == 3 else values[None]
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=bands.shape[0],
        dtype=bands.dtype, crs=crs, transform=transform, **profile,
    ) as target:  # fmt: skip
        target.write(bands)
    return path


def centres(grid: GeoBox, crs: str = "EPSG:4326") -> tuple[Field, Field]:
    """Coordinates of pixel centres, each projected for itself."""
    columns, rows = np.meshgrid(np.arange(grid.shape.x) + 0.5, np.arange(grid.shape.y) + 0.5)
    return Transformer.from_crs(str(grid.crs), crs, always_xy=True).transform(*(grid.transform * (columns, rows)))


def positions(grid: GeoBox, transform: Affine, crs: str) -> tuple[Field, Field]:
    """Row and column of every pixel centre on a source; 0 is the centre of its first pixel."""
    column, row = ~transform * centres(grid, crs)
    return row - 0.5, column - 0.5


def by_gdal(path: Path, grid: GeoBox, method: Resampling, **options: Any) -> NDArray[Any]:
    """The first band of a file on the grid, every pixel projected for itself."""
    place = {"crs": str(grid.crs), "transform": grid.transform, "width": grid.shape.x, "height": grid.shape.y}
    with (
        rasterio.open(path) as source,
        WarpedVRT(source, **place, resampling=method, tolerance=1e-6, **options) as warped,
    ):
        return np.asarray(warped.read(1))


def off_the_border(row: Field, column: Field) -> NDArray[np.bool_]:
    """Positions whose nearest pixel is beyond doubt: 1e-3 pixels from the border between two."""
    return np.asarray((np.abs(row % 1.0 - 0.5) > 1e-3) & (np.abs(column % 1.0 - 0.5) > 1e-3))


@pytest.fixture(scope="module")
def lefkada(shared_data: Path) -> tuple[Path, NDArray[np.float32], Affine]:
    path = shared_data / "events/us_us10003ywp_lefkada2015_nolabel/dem_1as.tif"
    with rasterio.open(path) as file:
        assert (file.read(1) != file.nodata).all()
        return path, file.read(1).astype(np.float32), file.transform


@pytest.mark.parametrize(("longitude", "latitude"), [(20.65, 38.72), (20.56, 38.62), (20.90, 39.10)])
def test_elevation_and_land(
    lefkada: tuple[Path, NDArray[np.float32], Affine], tmp_path: Path, longitude: float, latitude: float
) -> None:
    """2 cm against both: positions are off by millimetres, on slopes of up to 60 degrees."""
    path, z, transform = lefkada
    grid = around(longitude, latitude)
    row, column = positions(grid, transform, "EPSG:4326")
    elevation, land = layer("dem", path).elevation(grid, METHODS["elevation"] or "")
    dry = ndimage.map_coordinates((z > 0).astype(np.uint8), [row, column], order=0)
    sure = off_the_border(row, column)
    np.testing.assert_array_equal(land[sure], dry[sure])
    assert 0.05 < land.mean() < 1.0
    flat = np.maximum(z, 0.0)
    exact = ndimage.map_coordinates(flat.astype(float), [row, column], order=1)
    gdal = by_gdal(write(tmp_path / "flat.tif", flat, transform), grid, Resampling.bilinear, XSCALE=1, YSCALE=1)
    on_land = land == 1
    assert np.abs(elevation - exact)[on_land].max() < 0.02
    assert np.abs(elevation - gdal)[on_land].max() < 0.02
    assert not elevation[~on_land].any()


@pytest.fixture(scope="module")
def kashmir(shared_data: Path) -> Path:
    return shared_data / "events/us_usp000e12e_kashmir2005"


@pytest.mark.parametrize(("name", "file"), [("lithology", "geology.tif"), ("land_cover", "landcover.tif")])
def test_real_classes_are_picked_not_mixed(kashmir: Path, name: str, file: str) -> None:
    """28.6 m onto 30 m: the target is not a whole pixel larger, so that the most frequent is the nearest."""
    with rasterio.open(kashmir / file) as source:
        stored, transform, crs = source.read(1), source.transform, str(source.crs)
    codes = np.where(stored > 0, stored, 0).astype(np.uint8)
    grid = GeoBox(wh_(500, 780), Affine(30, 0, 342_000, 0, -30, 3_843_510), crs)
    row, column = positions(grid, transform, crs)
    sure = off_the_border(row, column)
    found = layer(name, kashmir / file).codes(grid, "nearest")
    exact = ndimage.map_coordinates(codes, [row, column], order=0)
    np.testing.assert_array_equal(found[sure], exact[sure])
    gdal = by_gdal(kashmir / file, grid, Resampling.nearest)
    assert (found == np.maximum(gdal, 0)).mean() > 0.9999
    assert set(np.unique(found)) <= set(np.unique(codes))
    assert len(np.unique(found)) > 6


def test_koeppen_zones_from_degrees(shared_data: Path) -> None:
    """Coarse classes of the world onto 30 m in both hemispheres, at 63 N, at the equator and at 180 degrees."""
    path = shared_data / "global/koppen_main_class_30as.tif"
    for longitude, latitude in ((84.7, 28.2), (-147.4, 63.5), (-78.2, 0.03), (173.0, -42.3), (179.99, -16.8)):
        grid = around(longitude, latitude)
        with rasterio.open(path) as source:
            row, column = positions(grid, source.transform, "EPSG:4326")
            band = source.read(1, window=Window(0, int(row.min()) - 1, source.width, int(np.ptp(row)) + 4))
        sure = off_the_border(row, column)
        nearest = np.rint(row).astype(int) - int(row.min()) + 1
        exact = band[nearest, np.rint(column).astype(int) % band.shape[1]]
        found = layer("soil", path).codes(grid, "nearest")
        np.testing.assert_array_equal(found[sure], exact[sure], err_msg=f"{longitude} {latitude}")


@pytest.mark.parametrize(("longitude", "latitude"), [(84.7, 28.2), (-147.4, 63.5), (173.0, -42.3)])
def test_soil_in_the_projection_of_soilgrids(tmp_path: Path, longitude: float, latitude: float) -> None:
    """250 m in Goode's homolosine, numbered from 0, 255 where unknown: every code of the 30 m map is a neighbour's."""
    x, y = Transformer.from_crs(4326, HOMOLOSINE, always_xy=True).transform(longitude, latitude)
    stored = np.random.default_rng(2).integers(0, 30, (120, 120)).astype(np.uint8)
    stored[40:60, 30:50] = 255
    transform = Affine(250, 0, x // 250 * 250 - 15_000, 0, -250, y // 250 * 250 + 15_000)
    path = write(tmp_path / "soil.tif", stored, transform, HOMOLOSINE, nodata=255)
    grid = around(longitude, latitude)
    row, column = positions(grid, transform, HOMOLOSINE)
    sure = off_the_border(row, column)
    exact = ndimage.map_coordinates(np.where(stored == 255, 0, stored + 1), [row, column], order=0)
    found = layer("soil", path, offset=1, nodata=255).codes(grid, METHODS["soil"] or "")
    assert (found == 0).any()
    np.testing.assert_array_equal(found[sure], exact[sure])


def inside_pixels(grid: GeoBox, shape: tuple[int, int], transform: Affine, crs: str) -> tuple[Field, NDArray[np.bool_]]:
    """Number of the target pixel that holds each source pixel's centre, and which are on the grid."""
    columns, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    there = Transformer.from_crs(crs, str(grid.crs), always_xy=True).transform(*(transform * (columns, rows)))
    column, row = (np.floor(v).astype(int) for v in ~grid.transform * there)
    on = (row >= 0) & (row < grid.shape.y) & (column >= 0) & (column < grid.shape.x)
    return row * grid.shape.x + column, on


def counted(values: NDArray[Any], transform: Affine, grid: GeoBox) -> NDArray[np.int64]:
    """(class, y, x) source pixels of each class whose centre lies in the target pixel."""
    into, on = inside_pixels(grid, values.shape, transform, "EPSG:4326")
    size = grid.shape.y * grid.shape.x
    classes = range(int(values.max()) + 1)
    return np.stack([np.bincount(into[on & (values == k)], minlength=size).reshape(grid.shape) for k in classes])


def test_most_frequent_class_of_a_real_10_m_map(shared_data: Path) -> None:
    """Iburi's slides at 10 m: a mode of about twelve pixels.

    99.5 %: a footprint is taken along the axes of the source, which are turned by half a degree here,
    so pixels on its rim fall to the neighbour; nearly never where a class leads by three. 98 % of
    GDAL's, which also counts pixels whose centre is outside.
    """
    path = shared_data / "events/us_us2000h8ty_iburi2018/weak_label_10m.tif"
    with rasterio.open(path) as source:
        codes, transform = source.read(1) + np.uint8(1), source.transform
    grid = around(141.96, 42.73, side=250)
    counts = counted(codes, transform, grid)
    found = layer("land_cover", path, offset=1).codes(grid, METHODS["land_cover"] or "")
    assert set(np.unique(found)) == {1, 2}
    assert counts.sum(axis=0).min() >= 9
    lead = np.abs(counts[1] - counts[2])
    agree = found == counts.argmax(axis=0)
    assert agree.mean() > 0.995
    assert agree[lead >= 3].mean() > 0.9999
    gdal = by_gdal(path, grid, Resampling.mode) + 1
    assert (found == gdal).mean() > 0.98


@pytest.mark.parametrize(("longitude", "latitude"), [(84.7, 28.2), (-147.4, 63.5), (-78.2, 0.03), (173.0, -42.3)])
def test_most_frequent_class_of_patches(tmp_path: Path, longitude: float, latitude: float) -> None:
    """SYNTHETIC patches of all WorldCover classes at 10 m; at 63 N seven pixels of them lie across one of ours."""
    rng = np.random.default_rng(6)
    legend = np.array(sorted(WORLDCOVER), np.uint8)
    noise = ndimage.gaussian_filter(rng.normal(size=(len(legend), 450, 850)), (0, 6, 6 / np.cos(np.radians(latitude))))
    codes = legend[noise.argmax(axis=0)]
    transform = Affine(1 / 12_000, 0, longitude - 425 / 12_000, 0, -1 / 12_000, latitude + 225 / 12_000)
    path = write(tmp_path / "cover.tif", codes, transform)
    grid = around(longitude, latitude, side=100)
    counts = counted(codes, transform, grid)
    ranked = np.sort(counts, axis=0)
    found = layer("land_cover", path).codes(grid, "mode")
    clear = ranked[-1] - ranked[-2] >= 0.35 * counts.sum(axis=0)
    assert clear.mean() > 0.7
    assert (found == counts.argmax(axis=0))[clear].all()
    assert (found == counts.argmax(axis=0)).mean() > 0.99


def test_mean_of_real_reflectances(shared_data: Path, tmp_path: Path) -> None:
    """A normalised difference of Sentinel-2's red and green at 10 m, averaged to 30 m.

    Within 1 % of the map's own deviation of the mean of the pixels whose centre is inside; 10 % of
    GDAL's, which weighs pixels by the part of them that is inside.
    """
    folder = shared_data / "events/us_us2000h8ty_iburi2018"
    bands = []
    for name in ("s2_post_B4.tif", "s2_post_B3.tif"):
        with rasterio.open(folder / name) as source:
            bands.append(source.read(1))
            transform = source.transform
    path = write(tmp_path / "bands.tif", np.stack(bands), transform, nodata=0)
    red, green = (np.where(band > 0, band, np.nan).astype(np.float32) for band in bands)
    index = (red - green) / (red + green)
    grid = around(141.96, 42.73, side=250)
    found = layer("ndvi", path, band=1, minus_band=2).continuous(grid, METHODS["ndvi"] or "")
    into, on = inside_pixels(grid, index.shape, transform, "EPSG:4326")
    on &= np.isfinite(index)
    size = grid.shape.y * grid.shape.x
    mean = np.bincount(into[on], index[on], size) / np.maximum(np.bincount(into[on], minlength=size), 1)
    gdal = by_gdal(write(tmp_path / "index.tif", index, transform, nodata=np.nan), grid, Resampling.average)
    for expected, share, likeness in ((mean.reshape(found.shape), 0.01, 0.999), (gdal, 0.1, 0.99)):
        assert np.nanmean(np.abs(found - expected)) < share * np.nanstd(found)
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > likeness


@given(
    seed=st.integers(0, 10_000),
    method=st.sampled_from(["nearest", "mode"]),
    pixel=st.floats(4.0, 300.0),
    turn=st.sampled_from(["EPSG:4326", "EPSG:32645", "EPSG:32644"]),
)
@settings(max_examples=40, deadline=None)
def test_classes_are_never_interpolated(seed: int, method: str, pixel: float, turn: str) -> None:
    """Whatever the resolutions and projections, a code on the grid is one of the source, or unknown."""
    rng = np.random.default_rng(seed)
    grid = around(84.0, 28.2, side=40)
    crs = CRS.from_user_input(turn)
    step = pixel / 111_000 if crs.is_geographic else pixel
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(84.0, 28.2)
    codes = rng.choice(rng.choice(np.arange(1, 256), 4, replace=False), (300, 300)).astype(np.uint8)
    codes[rng.random(codes.shape) < 0.1] = 0
    lattice = Affine(step, 0, x - 150 * step, 0, -step, y + 150 * step)
    found = sample_codes(Patch(codes, lattice), project(grid, crs), method)
    assert set(np.unique(found)) <= set(np.unique(codes)) | {0}
    assert found.any()


def test_soil_on_both_edges_of_the_homolosine_world(tmp_path: Path) -> None:
    """180 degrees is the left and the right edge of the projection: a grid across it needs both.

    The projection's outline is no rectangle: what lies beyond it in the file is missing, and within
    a pixel of the seam the nearest one may be on either side.
    """
    latitude, width, height = -16.9, 160_300, 80
    project_onto = Transformer.from_crs(4326, HOMOLOSINE, always_xy=True)
    _, y = project_onto.transform(179.9, latitude)
    transform = Affine(250, 0, -20_037_500.0, 0, -250, y // 250 * 250 + 10_000)
    x, northing = transform.c + 250 * (np.arange(width) + 0.5), transform.f - 250 * (np.arange(height) + 0.5)
    _, latitudes = project_onto.transform(np.full(height, 1e6), northing, direction="INVERSE")
    west, east = (project_onto.transform(np.full(height, lon), latitudes)[0] for lon in (-180 + 1e-9, 180 - 1e-9))
    stored = (np.arange(width)[None, :] // 3 + np.arange(height)[:, None] // 3).astype(np.uint8) % 30
    stored[(x[None, :] < west[:, None]) | (x[None, :] > east[:, None])] = 255
    path = write(tmp_path / "soil.tif", stored, transform, HOMOLOSINE, nodata=255)
    grid = around(180.0, latitude)
    row, column = positions(grid, transform, HOMOLOSINE)
    exact = ndimage.map_coordinates(np.where(stored == 255, 0, stored + 1), [row, column], order=0)
    found = layer("soil", path, offset=1, nodata=255).codes(grid, "nearest")
    lon, _ = centres(grid)
    beside = np.abs((lon + 360.0) % 360.0 - 180.0) * 106_000.0 < 250.0
    known = (exact != 0) & off_the_border(row, column) & ~beside
    assert known.mean() > 0.9 and (column[known] < 2e3).any() and (column[known] > 1.5e5).any()
    np.testing.assert_array_equal(found[known], exact[known])
    assert (found != 0).mean() > 0.99
