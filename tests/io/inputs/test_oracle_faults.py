"""Distances to real faults, from the file to the pixel, against shapely's search tree over the whole file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from headscarp.core.grid import utm_crs
from headscarp.core.pci.kernels import FAULT_LIMIT_M, KERNELS
from headscarp.io.inputs.sources import SourceSpec
from headscarp.io.inputs.vectors import read_lines

SAMPLES = 3000


def around(longitude: float, latitude: float, *, side: int = 1000) -> GeoBox:
    """A square of 30 m pixels in the zone of its middle."""
    crs = utm_crs(longitude, latitude)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(longitude, latitude)
    west, north = (x // 30 - side // 2) * 30, (y // 30 + side // 2) * 30
    return GeoBox(wh_(side, side), Affine(30, 0, west, 0, -30, north), crs.to_epsg())


def distances(path: Path, grid: GeoBox) -> np.ndarray:
    spec = SourceSpec.model_validate({"kind": "vector", "href": str(path)})
    lines, _ = read_lines("faults", spec, grid, reach_m=FAULT_LIMIT_M)
    return np.asarray(KERNELS["fault_distance"].function({"faults": lines}, grid)["fault_distance"])


def sampled(grid: GeoBox) -> tuple[np.ndarray, ...]:
    """Rows, columns, x and y of random pixel centres."""
    rng = np.random.default_rng(8)
    rows, columns = rng.integers(0, grid.shape.y, SAMPLES), rng.integers(0, grid.shape.x, SAMPLES)
    return rows, columns, *(grid.transform * (columns + 0.5, rows + 0.5))


def nearest(shapes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    tree, points = shapely.STRtree(shapes), shapely.points(x, y)
    return np.asarray(shapely.distance(points, shapes[tree.nearest(points)]))


def test_faults_of_kashmir(shared_data: Path) -> None:
    """1 mm: the file is in the CRS of the grid, and both compute in double precision."""
    path = shared_data / "events/us_usp000e12e_kashmir2005/faults.gpkg"
    grid = around(73.5, 34.6)
    info, _, geometry, _ = pyogrio.raw.read(path, columns=[])
    turn = Transformer.from_crs(info["crs"], str(grid.crs), always_xy=True).transform
    shapes = shapely.transform(shapely.from_wkb(geometry), turn, interleaved=False)
    rows, columns, x, y = sampled(grid)
    expected = np.minimum(nearest(shapes, x, y), FAULT_LIMIT_M)
    assert expected.min() < 100.0
    np.testing.assert_allclose(distances(path, grid)[rows, columns], expected, rtol=1e-6, atol=1e-3)


@pytest.fixture(scope="module")
def gem(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """GEM's active faults of the world in a file with an index, and their shapes."""
    folder = tmp_path_factory.mktemp("gem")
    plain, path = folder / "faults.geojson", folder / "faults.gpkg"
    plain.write_bytes(gzip.decompress((shared_data / "global/gem_active_faults_2019.geojson.gz").read_bytes()))
    info, _, geometry, _ = pyogrio.raw.read(plain, columns=[], force_2d=True)
    number = [np.arange(len(geometry))]
    pyogrio.raw.write(path, geometry, number, ["id"], driver="GPKG", crs=info["crs"], geometry_type="Unknown")
    return path, shapely.from_wkb(geometry)


@pytest.mark.parametrize(
    ("longitude", "latitude"),
    [(20.65, 38.72), (84.7, 28.2), (-147.4, 63.5), (119.9, -0.2), (173.7, -42.4), (179.98, -16.9), (-30.0, 60.0)],
    ids=["lefkada", "gorkha", "denali", "palu", "kaikoura", "taveuni", "ocean"],
)
def test_faults_of_the_world(gem: tuple[Path, np.ndarray], longitude: float, latitude: float) -> None:
    """1 m or 1e-5: lines are cut where the reach ends, and a cut in degrees is no straight line on the grid."""
    grid = around(longitude, latitude)
    path, shapes = gem
    west, south, east, north = shapely.bounds(shapes).T
    turn = (longitude - west + 180.0) // 360.0 * 360.0
    near = (abs((west + east) / 2 + turn - longitude) < 20.0) & (abs((south + north) / 2 - latitude) < 8.0)
    project = Transformer.from_crs(4326, str(grid.crs), always_xy=True).transform
    shapes = shapely.transform(shapes[near], project, interleaved=False)
    rows, columns, x, y = sampled(grid)
    expected = np.full(SAMPLES, FAULT_LIMIT_M)
    if shapes.size:
        expected = np.minimum(nearest(shapes, x, y), FAULT_LIMIT_M)
    np.testing.assert_allclose(distances(path, grid)[rows, columns], expected, rtol=1e-5, atol=1.0)


@pytest.mark.parametrize("longitude", [180.0, -179.4])
@pytest.mark.parametrize("latitude", [63.5, 0.05, -42.4, -16.9])
def test_distances_on_the_grid_are_those_on_the_ellipsoid(tmp_path: Path, longitude: float, latitude: float) -> None:
    """0.3 %: the scale of a zone extended a degree past its edge. The fault may lie beyond 180 degrees."""
    point = shapely.LineString([(longitude - 1e-6, latitude), (longitude, latitude)])
    path = tmp_path / "fault.gpkg"
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array([point])), [np.arange(1)], ["id"], driver="GPKG", crs="EPSG:4326",
        geometry_type="LineString",
    )  # fmt: skip
    grid = around(179.5, latitude)
    rows, columns, x, y = sampled(grid)
    to_degrees = Transformer.from_crs(str(grid.crs), 4326, always_xy=True)
    lon, lat = to_degrees.transform(x, y)
    metres = Geod(ellps="WGS84").inv(lon, lat, np.full(SAMPLES, longitude), np.full(SAMPLES, latitude))[2]
    np.testing.assert_allclose(distances(path, grid)[rows, columns], metres, rtol=3e-3, atol=0.2)
