"""Parity with the grids the USGS stored for Loma Prieta 1989."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Geod
from scipy.interpolate import RegularGridInterpolator
from scipy.io import netcdf_file

from headscarp.core.hazard import jessee
from headscarp.io.inputs.shakemap_grid import read_grid_xml

Floats = NDArray[np.float64]
Record = Callable[[str, object], None]
USGS_HAZARD_KM2 = 35.322


def bilinear(values: Floats, lon: Floats, lat: Floats) -> Callable[[Floats, Floats], Floats]:
    """Bilinear in the four nodes around a point; `lat` falls as rows do."""
    found = RegularGridInterpolator((lat[::-1], lon), values[::-1], bounds_error=True)
    return lambda x, y: found((y, x))


def node(values: Floats, lon: Floats, lat: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, list[Floats]]:
    """Position of points in their cell (from its north-west node) and the four node values."""
    step_x, step_y = lon[1] - lon[0], lat[0] - lat[1]
    col, row = (x - lon[0]) / step_x, (lat[0] - y) / step_y
    c, r = np.clip(np.floor(col).astype(int), 0, lon.size - 2), np.clip(np.floor(row).astype(int), 0, lat.size - 2)
    return col - c, row - r, [values[r, c], values[r, c + 1], values[r + 1, c], values[r + 1, c + 1]]


def triangulated(values: Floats, lon: Floats, lat: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Linear interpolation on either triangulation of each cell: diagonal NW-SE, diagonal NE-SW."""
    u, v, (nw, ne, sw, se) = node(values, lon, lat, x, y)
    falling = np.where(u >= v, nw + u * (ne - nw) + v * (se - ne), nw + v * (sw - nw) + u * (se - sw))
    rising = np.where(u + v <= 1, nw + u * (ne - nw) + v * (sw - nw), se + (1 - u) * (sw - se) + (1 - v) * (ne - se))
    return falling, rising


@dataclass(frozen=True)
class LomaPrieta:
    folder: Path

    def stored(self, name: str) -> Floats:
        """(y, x) with row 0 in the north."""
        with netcdf_file(self.folder / name, mmap=False) as file:
            return np.array(file.variables["z"][:][::-1], float)

    @cached_property
    def xy(self) -> tuple[Floats, Floats]:
        with netcdf_file(self.folder / "jessee_2018.grd", mmap=False) as file:
            x, y = np.meshgrid(np.array(file.variables["x"][:], float), np.array(file.variables["y"][:], float)[::-1])
        return x, y

    def nearest(self, name: str) -> Floats:
        with rasterio.open(self.folder / name) as file:
            col, row = ~file.transform @ self.xy
            return np.asarray(file.read(1)[np.floor(row).astype(int), np.floor(col).astype(int)], float)

    def raster(self, name: str) -> tuple[Floats, Floats, Floats]:
        with rasterio.open(self.folder / name) as file:
            t = file.transform
            lon, lat = t.c + (np.arange(file.width) + 0.5) * t.a, t.f + (np.arange(file.height) + 0.5) * t.e
            return file.read(1).astype(float), lon, lat

    def shaking(self, name: str, column: str) -> tuple[Floats, Floats, Floats]:
        """A ShakeMap column and its nodes, as our reader has them."""
        found = read_grid_xml((self.folder / name).read_bytes(), name)
        values = np.asarray(found.columns[column], float)
        rows, cols = values.shape
        return values, np.linspace(-122.5, -121.3, cols), np.linspace(37.2, 36.5, rows)

    def at_cells(self, grid: tuple[Floats, Floats, Floats]) -> Floats:
        """Bilinear at the cells; cells half a step outside the ShakeMap take the edge."""
        values, lon, lat = grid
        x, y = self.xy
        return bilinear(values, lon, lat)(np.clip(x, lon[0], lon[-1]), np.clip(y, lat[-1], lat[0]))

    @cached_property
    def terms(self) -> dict[str, Floats]:
        lithology = self.nearest("GLIM_replace.tif")
        return {
            "lithology_term": np.where(lithology <= -3.21, jessee.LITHOLOGY_TERMS[1], lithology),
            "land_cover_term": self.nearest("globcover_replace.tif"),
            "cti": self.at_cells(self.raster("global_cti_fil.grd")),
        }

    @cached_property
    def slope(self) -> Floats:
        return np.degrees(np.arctan(self.nearest("global_grad.tif")))

    @cached_property
    def pgv(self) -> Floats:
        return self.at_cells(self.shaking("grid.xml", "PGV"))

    @cached_property
    def coverage(self) -> Floats:
        return np.asarray(jessee.coverage(self.slope, self.pgv, **self.terms), float)

    @cached_property
    def cell_km2(self) -> Floats:
        """Area on the WGS84 ellipsoid: between two meridians the exact area of each row's band."""
        geod, step = Geod(ellps="WGS84"), 1.0 / 480.0
        rows = [
            abs(geod.polygon_area_perimeter([0, step, step, 0], [y - step / 2] * 2 + [y + step / 2] * 2)[0])
            for y in self.xy[1][:, 0]
        ]
        return np.broadcast_to(np.array(rows)[:, None] / 1e6, self.coverage.shape)

    def aggregate_km2(self, coverage: Floats) -> float:
        """Hazard as the USGS sums it: PGA at least 0.10 g, coverage at least 0.002."""
        pga = self.at_cells(self.shaking("grid.xml", "PGA"))
        counted = (pga >= 0.10) & (coverage >= 0.002)
        return float((coverage * self.cell_km2)[counted].sum())


@pytest.fixture(scope="module")
def loma_prieta(shared_data: Path) -> LomaPrieta:
    return LomaPrieta(shared_data / "golden" / "loma_prieta_usgs")


def known(stored: Floats) -> NDArray[np.bool_]:
    """Cells where the USGS has a value; the sea has none."""
    return np.asarray(np.isfinite(stored) & (stored < 1e30))


def nearest_of(stored: Floats, candidates: list[Floats]) -> Floats:
    """Smallest relative difference of any candidate from the stored value, cell by cell."""
    return np.fmin.reduce([np.abs(candidate / stored - 1.0) for candidate in candidates])


def test_mask_is_the_same(loma_prieta: LomaPrieta) -> None:
    stored = loma_prieta.stored("jessee_2018.grd")
    cells = known(stored)
    assert int((stored[cells] > 0).sum()) == 81_562
    np.testing.assert_array_equal(loma_prieta.coverage[cells] > 0, stored[cells] > 0)


def test_coverage_with_bilinear_shaking(loma_prieta: LomaPrieta, record_property: Record) -> None:
    stored = loma_prieta.stored("jessee_2018.grd")
    cells = known(stored) & (stored > 0)
    difference = np.abs(loma_prieta.coverage - stored)[cells]
    close = float((difference <= 1e-3).mean())
    median = float(np.median(difference / stored[cells]))
    record_property("cells within 1e-3", close)
    record_property("median relative difference", median)
    assert close >= 0.96
    assert median < 0.008


def test_aggregate_hazard(loma_prieta: LomaPrieta, record_property: Record) -> None:
    cells = known(loma_prieta.stored("jessee_2018.grd"))
    found = loma_prieta.aggregate_km2(np.where(cells, loma_prieta.coverage, 0.0))
    record_property("aggregate hazard km2", found)
    assert found == pytest.approx(USGS_HAZARD_KM2, rel=1e-3)


def test_coverage_equals_one_triangulation(loma_prieta: LomaPrieta, record_property: Record) -> None:
    """The USGS interpolates shaking on triangles, and which diagonal a cell gets is an accident of its library."""
    g = loma_prieta
    stored = g.stored("jessee_2018.grd")
    cells = known(stored) & (stored > 0)
    either = [
        np.asarray(jessee.coverage(g.slope, pgv, **g.terms))[cells]
        for pgv in triangulated(*g.shaking("grid.xml", "PGV"), *g.xy)
    ]
    equal = float((nearest_of(stored[cells], either) <= 1e-3).mean())
    record_property("cells equal to a triangulation", equal)
    assert equal >= 0.99


def test_sigma(loma_prieta: LomaPrieta, record_property: Record) -> None:
    g = loma_prieta
    stored = g.stored("jessee_2018_std.grd")
    cells = known(stored) & np.isfinite(g.terms["cti"])
    model_std = g.at_cells(g.raster("jessee_standard_deviation.tif"))
    assert int(cells.sum()) > 116_000

    def sigma(pgv: Floats, pgv_ln_std: Floats) -> Floats:
        found = jessee.sigma(g.slope, pgv, **g.terms, pgv_ln_std=pgv_ln_std, model_std=model_std)
        return np.asarray(found, float)[cells]

    bilinear_sigma = sigma(g.pgv, g.at_cells(g.shaking("uncertainty.xml", "STDPGV")))
    correlation = float(np.corrcoef(bilinear_sigma, stored[cells])[0, 1])
    pairs = zip(
        triangulated(*g.shaking("grid.xml", "PGV"), *g.xy),
        triangulated(*g.shaking("uncertainty.xml", "STDPGV"), *g.xy),
        strict=True,
    )
    equal = float((nearest_of(stored[cells], [sigma(*pair) for pair in pairs]) <= 1e-3).mean())
    record_property("sigma: correlation", correlation)
    record_property("sigma: cells equal to a triangulation", equal)
    assert correlation > 0.9996
    assert equal >= 0.99


def test_published_value_for_loose_sediment_would_not_fit(loma_prieta: LomaPrieta) -> None:
    g = loma_prieta
    published = {**g.terms, "lithology_term": g.nearest("GLIM_replace.tif")}
    cells = known(g.stored("jessee_2018.grd")) & (published["lithology_term"] <= -3.21) & (g.coverage > 0)
    stored = g.stored("jessee_2018.grd")[cells]
    ours, theirs = g.coverage[cells], np.asarray(jessee.coverage(g.slope, g.pgv, **published))[cells]
    assert np.median(np.abs(ours / stored - 1)) < 0.01
    assert np.median(np.abs(theirs / stored - 1)) > 0.1
