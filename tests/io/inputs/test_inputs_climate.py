"""Climate of any place and names of plates, from small rasters and the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from headscarp.core.belts import boundaries_of
from headscarp.errors import BadRaster, InvalidInput, SourceUnavailable
from headscarp.io.inputs.climate import MAIN_CLASSES, climate_lookup
from headscarp.io.inputs.plates import read_boundaries
from headscarp.io.inputs.spec import SourceSpec


def write(path: Path, codes: np.ndarray, west: float, north: float, step: float) -> Path:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "crs": "EPSG:4326"}
    shape = {"height": codes.shape[0], "width": codes.shape[1]}
    with rasterio.open(path, "w", transform=Affine(step, 0, west, 0, -step, north), **profile, **shape) as file:
        file.write(codes.astype(np.uint8), 1)
    return path


def spec(path: Path, scheme: str = "koeppen_main", **more: Any) -> SourceSpec:
    return SourceSpec(kind="raster", href=str(path), scheme=scheme, **more)


def test_the_world_is_round(tmp_path: Path) -> None:
    """Half-degree columns 1 to 5 by longitude; south of 60 S everything is polar."""
    codes = np.repeat(1 + np.arange(720)[None] // 180, 360, axis=0)
    codes[300:] = 5
    look = climate_lookup(spec(write(tmp_path / "world.tif", codes, -180.0, 90.0, 0.5)))
    lon = np.array([-179.99, 179.99, 180.01, 540.01, -0.01, 0.01, 45.0, 45.0, 45.0])
    lat = np.array([10.0, 10.0, 10.0, 10.0, 10.0, 10.0, -59.9, -60.1, -90.0])
    assert look(lon, lat).tolist() == [1, 4, 1, 1, 2, 3, 3, 5, 5]


def test_outside_a_regional_map_there_is_no_land(tmp_path: Path) -> None:
    look = climate_lookup(spec(write(tmp_path / "part.tif", np.full((20, 20), 3), 10.0, 50.0, 0.5)))
    lon, lat = np.array([10.01, 19.99, 9.98, 15.0]), np.array([49.99, 40.01, 45.0, 39.9])
    assert look(lon, lat).tolist() == [3, 3, 0, 0]


def test_thirty_classes_become_five(tmp_path: Path) -> None:
    """Af, Am, Aw; BWh to BSk; Csa to Cfc; Dsa to Dfd; ET, EF: the legend of Beck et al. (2023)."""
    look = climate_lookup(spec(write(tmp_path / "fine.tif", np.arange(31)[None], 0.0, 1.0, 1.0), "koeppen"))
    main = look(np.arange(31) + 0.5, np.full(31, 0.5))
    assert "".join(map(str, main)) == "0" + "111" + "2222" + "333333333" + "444444444444" + "55"
    assert len(MAIN_CLASSES["koeppen"]) == 31


def test_nothing_asked_nothing_read(tmp_path: Path) -> None:
    look = climate_lookup(spec(write(tmp_path / "a.tif", np.ones((2, 2)), 0.0, 1.0, 0.5)))
    assert look(np.empty(0), np.empty(0)).shape == (0,)


def test_refusals(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.full((4, 4), 7), 0.0, 2.0, 0.5)
    with pytest.raises(InvalidInput, match="expected scheme koeppen or koeppen_main, found None"):
        climate_lookup(SourceSpec(kind="raster", href=str(path)))
    with pytest.raises(BadRaster, match="expected codes 0 to 5 of koeppen_main, found 7"):
        climate_lookup(spec(path))(np.array([1.0]), np.array([1.0]))
    with pytest.raises(BadRaster, match=r"none\.tif"):
        climate_lookup(spec(tmp_path / "none.tif"))


def test_the_real_map_at_random_places(shared_data: Path) -> None:
    path = shared_data / "global/koppen_main_class_30as.tif"
    look, rng = climate_lookup(spec(path)), np.random.default_rng(0)
    lon, lat = rng.uniform(83.0, 88.0, 300), rng.uniform(26.0, 30.0, 300)
    with rasterio.open(path) as source:
        exact = [int(value[0]) for value in source.sample(zip(lon, lat, strict=True))]
    assert look(lon, lat).tolist() == exact
    assert len(set(exact)) >= 3


def test_plates_are_named_as_in_the_file(shared_data: Path) -> None:
    path = shared_data / "global/PB2002_boundaries.json"
    found = read_boundaries(SourceSpec(kind="vector", href=str(path)))
    expected = boundaries_of(json.loads(path.read_text()))
    assert [b.plates for b in found] == [b.plates for b in expected]
    assert all(np.array_equal(a.line, b.line) for a, b in zip(found, expected, strict=True))


def line(**properties: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "LineString", "coordinates": [[0.0, 0.0], [1.0, 1.0]]},
    }


def test_files_that_are_no_plates(tmp_path: Path) -> None:
    path = tmp_path / "lines.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [line(name="x")]}))
    with pytest.raises(InvalidInput, match=r"lines\.geojson.*PlateA and PlateB"):
        read_boundaries(SourceSpec(kind="vector", href=str(path)))
    path.write_text("{")
    with pytest.raises(InvalidInput, match="cannot be read as vectors"):
        read_boundaries(SourceSpec(kind="vector", href=str(path)))
    with pytest.raises(SourceUnavailable):
        read_boundaries(SourceSpec(kind="vector", href="http://127.0.0.1:9/plates.json"), timeout_s=0.5)
