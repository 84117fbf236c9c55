"""The conversion recipe for GLiM, on SYNTHETIC polygons in the projection of the real file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.tables.legends import GLIM
from infra.sources import glim

ECKERT_IV = "ESRI:54012"
WEST = 84.4
"""Longitude at which the rock changes."""


def degrees_to(crs: str, shape: shapely.Polygon) -> shapely.Polygon:
    move = Transformer.from_crs(4326, crs, always_xy=True)
    dense = shapely.segmentize(shape, 0.01)
    return shapely.transform(dense, lambda points: np.column_stack(move.transform(points[:, 0], points[:, 1])))


def write(path: Path, letters: list[str], crs: str = ECKERT_IV, field: str = "xx") -> Path:
    """A western and an eastern class, and a lake within the eastern one's northern tile."""
    lake = shapely.box(84.7, 28.2, 84.8, 28.4)
    shapes = [shapely.box(83.9, 27.5, WEST, 28.9), shapely.box(WEST, 27.5, 85.0, 28.9) - lake, lake]
    pyogrio.raw.write(
        path, shapely.to_wkb([degrees_to(crs, shape) for shape in shapes]), [np.array(letters, dtype=object)], [field],
        driver="GPKG", crs=crs, geometry_type="Polygon",
    )  # fmt: skip
    return path


def test_letters_are_those_of_the_legend() -> None:
    assert " ".join(glim.CODES) == "su vb ss pb sm sc va mt pa vi wb py pi ev nd ig"
    assert list(glim.CODES.values()) == list(GLIM)


def test_pixel_centres_get_the_class_of_their_polygon(tmp_path: Path) -> None:
    glim.main(
        [
            str(write(tmp_path / "glim.gpkg", ["mt", "pa", "wb"])),
            str(tmp_path / "out"),
            "--bbox",
            "84",
            "27",
            "85",
            "29",
        ]
    )
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tif")) == ["GLiM_N27E084.tif", "GLiM_N28E084.tif"]
    with rasterio.open(tmp_path / "out/GLiM_N28E084.tif") as tile:
        codes, transform = tile.read(1), tile.transform
    lon, lat = transform * np.meshgrid(np.arange(1200) + 0.5, np.arange(1200) + 0.5)
    lake = (lon > 84.7) & (lon < 84.8) & (lat > 28.2) & (lat < 28.4)
    expected = np.select([lat > 28.9, lon < WEST, lake], [0, 8, 11], 9)
    wrong = codes != expected
    edges = (abs(lon - WEST) < 1e-3) | (abs(lat - 28.9) < 1e-3) | (abs(lon - 84.75) < 0.051)
    assert not (wrong & ~edges).any()
    assert wrong.mean() < 1e-4


def test_the_written_registry_is_read_as_lithology(tmp_path: Path) -> None:
    polygons = write(tmp_path / "glim.gpkg", ["mt", "pa", "wb"], crs="EPSG:4326")
    assert glim.convert(polygons, tmp_path / "out", (84, 27, 85, 29), layer=None, field="xx") == 2
    spec = SourceRegistry.load(tmp_path / "out/sources.yaml")["lithology"]
    assert spec is not None
    assert spec.scheme == "glim"
    grid = GeoBox(wh_(400, 60), Affine(30, 0, 239_010, 0, -30, 3_100_020), "EPSG:32645")
    codes = RasterLayer("lithology", spec).codes(grid, "nearest")
    assert set(np.unique(codes)) == {8, 9}
    switch = np.argmax(codes[30] == 9)
    x, y = grid.transform * (float(switch), 30.5)
    assert Transformer.from_crs(32645, 4326, always_xy=True).transform(x, y)[0] == pytest.approx(WEST, abs=1 / 1200)


def test_letters_that_are_no_class_are_refused(tmp_path: Path) -> None:
    polygons = write(tmp_path / "glim.gpkg", ["mt", "granite", "wb"])
    with pytest.raises(SystemExit, match=r"found \['granite'\]"):
        glim.convert(polygons, tmp_path / "out", (84, 27, 85, 28), layer=None, field="xx")
