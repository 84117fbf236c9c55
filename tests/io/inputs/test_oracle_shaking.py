"""Shaking on the grid, from the file to the pixel, against scipy in the space the table names."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from scipy.interpolate import RegularGridInterpolator

from headscarp.core.event import Shaking
from headscarp.core.grid import utm_crs
from headscarp.core.types import Raster
from headscarp.core.warp import interpolate, project
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.shakemap import read_shakemap
from headscarp.tables.coseismic import COSEISMIC

WGS84 = CRS.from_epsg(4326)
FIELDS = {row.name: row for row in COSEISMIC if (row.source or "").startswith("shaking.")}
MAPS = (
    "ak0209dha24u_v2", "ak20419010_v8", "lomaprieta_v3.5_241x193", "northridge_godt_nan_nounits", "nyc_scenario",
    "us1000dyad_v1_sm4", "us1000dyad_v6_sm3.5", "usa00040xz_2010_sm3.2",
)  # fmt: skip


def nodes(grid: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes of cell centres."""
    x, _ = grid.transform * (np.arange(grid.shape.x) + 0.5, np.zeros(grid.shape.x))
    _, y = grid.transform * (np.zeros(grid.shape.y), np.arange(grid.shape.y) + 0.5)
    return x, y


def inside(coarse: GeoBox, *, side: int = 400) -> GeoBox:
    """30 m pixels around the middle of a map, in the zone east of its own: edges of zones are no edges here."""
    x, y = nodes(coarse)
    longitude, latitude = x[x.size // 2], y[y.size // 2]
    crs = utm_crs(longitude + 6.0, latitude)
    east, north = Transformer.from_crs(4326, crs, always_xy=True).transform(longitude, latitude)
    west, top = (east // 30 - side // 2) * 30, (north // 30 + side // 2) * 30
    return GeoBox(wh_(side, side), Affine(30, 0, west, 0, -30, top), crs.to_epsg())


def by_scipy(field: Raster, coarse: GeoBox, grid: GeoBox, *, ln: bool) -> Raster:
    """At exactly projected pixel centres; NaN where one of four neighbours is."""
    columns, rows = np.meshgrid(np.arange(grid.shape.x) + 0.5, np.arange(grid.shape.y) + 0.5)
    x, y = nodes(coarse)
    lon, lat = Transformer.from_crs(str(grid.crs), 4326, always_xy=True).transform(*(grid.transform * (columns, rows)))
    lon = lon + 360.0 * np.round((x.mean() - lon) / 360.0)
    values = np.log(field.astype(float)) if ln else field.astype(float)
    found = RegularGridInterpolator((y[::-1], x), values[::-1])((lat, lon))
    return np.exp(found) if ln else found


def compare(shaking: Shaking, name: str) -> None:
    """1e-4: the field is float32, and positions are interpolated over 480 m of a cell of 1 to 2 km."""
    row = FIELDS[name]
    field = getattr(shaking, (row.source or "").removeprefix("shaking."))
    ln = row.resampling == "bilinear_ln"
    grid = inside(shaking.grid)
    expected = by_scipy(field, shaking.grid, grid, ln=ln)
    found = interpolate(field, shaking.grid, project(grid, WGS84), ln=ln)
    known = np.isfinite(expected)
    assert known.any() and np.ptp(expected[known]) > 0.0
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-4)


def test_peaks_are_taken_between_nodes_in_logarithms() -> None:
    spaces = {name: row.resampling for name, row in FIELDS.items()}
    deviations = dict.fromkeys(("pga_ln_std", "pgv_ln_std"), "bilinear")
    assert spaces == dict.fromkeys(("pga", "pgv", "vs30"), "bilinear_ln") | deviations


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("field", ["pga", "pgv", "vs30"])
def test_real_shakemaps(shared_data: Path, name: str, field: str) -> None:
    data = gzip.decompress((shared_data / "shakemaps" / f"{name}.xml.gz").read_bytes())
    shaking = read_shakemap({"grid.xml": data})
    if getattr(shaking, field) is None:
        assert field == "vs30"
        return
    compare(shaking, field)


@pytest.mark.parametrize("field", ["pga", "pgv", "pga_ln_std", "pgv_ln_std", "vs30"])
def test_loma_prieta_with_its_uncertainty(shared_data: Path, field: str) -> None:
    folder = shared_data / "golden/loma_prieta_usgs"
    compare(read_shakemap({n: (folder / n).read_bytes() for n in ("grid.xml", "uncertainty.xml")}), field)


@pytest.mark.parametrize(
    "name", ["us_usp000e12e_kashmir2005", "us_us10003ywp_lefkada2015_nolabel", "us_us20002926_gorkha2015_90m"]
)
@pytest.mark.parametrize("field", ["pga", "pgv", "vs30"])
def test_real_event_folders(shared_data: Path, name: str, field: str) -> None:
    compare(read_event_folder(shared_data / "events" / name).shaking, field)


def test_missing_nodes_stay_missing_and_do_not_spread(shared_data: Path) -> None:
    """A NaN cell is missing over its own area, half way to its neighbours, and nowhere else."""
    data = gzip.decompress((shared_data / "shakemaps/northridge_godt_nan_nounits.xml.gz").read_bytes())
    shaking = read_shakemap({"grid.xml": data})
    lost = np.isnan(shaking.pga)
    assert lost.any() and not lost.all()
    fine = shaking.grid.zoom_out(1 / 5)
    found = interpolate(shaking.pga, shaking.grid, project(fine, WGS84), ln=True)
    np.testing.assert_array_equal(np.isnan(found), np.kron(lost, np.ones((5, 5), bool)))
