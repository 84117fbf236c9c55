"""What becomes of bad sources in a cube: refused, or counted and told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Extent
from headscarp.core.pci.table import Table
from headscarp.core.tiling import Window
from headscarp.errors import BadRaster
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.tables.coseismic import COSEISMIC

SLOW = {"hydrology", "river_distance", "relief"}
QUICK = Table("quick", tuple(row for row in COSEISMIC if row.kernel not in SLOW))
QUAKE = Event("xx2", "M 7.0 Nowhere", datetime(2023, 5, 1, tzinfo=UTC), 7.0, 21.0, 38.9, 10.0, rake=90.0)
UTM = Affine(30, 0, 499_020, 0, -30, 4_306_020)
SIDE = 120


def write(path: Path, values: np.ndarray) -> str:
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs="EPSG:32634", transform=UTM,
    ) as target:  # fmt: skip
        target.write(values, 1)
    return str(path)


def build(folder: Path, dem: np.ndarray, cover: np.ndarray) -> Any:
    layers = {
        "dem": {"href": write(folder / "dem.tif", dem)},
        "land_cover": {"href": write(folder / "cover.tif", cover), "scheme": "worldcover", "epoch": "2019"},
    }
    coarse = GeoBox(wh_(24, 24), Affine(1 / 60, 0, 20.8, 0, -1 / 60, 39.1), "EPSG:4326")
    return build_cube(
        LocalStore(folder), "c.zarr", event=QUAKE, shaking=Shaking(coarse, np.full((24, 24), 0.3, np.float32)),
        extent=Extent(GeoBox(wh_(SIDE, SIDE), UTM, "EPSG:32634"), cut_by_shakemap_edge=False), table=QUICK,
        registry=SourceRegistry.load().with_overrides(layers, others="not in the test"), lineage={}, workers=1,
        timeout_s=2.0,
    )  # fmt: skip


def test_feet_and_foreign_codes_are_counted_told_and_never_zero(tmp_path: Path) -> None:
    """A DEM in feet that nobody declared, and a class that lies between those of the legend."""
    feet = np.tile(np.linspace(5_000, 14_000, SIDE, dtype=np.float32), (SIDE, 1))
    cover = np.full((SIDE, SIDE), 10, np.uint8)
    cover[:40] = 15
    cube = build(tmp_path, feet, cover)
    elevation, plants, slope = cube.read(("elevation", "land_cover", "slope"), Window(0, 0, SIDE, SIDE))
    above = feet > 9_000
    assert np.isnan(elevation[above]).all()
    assert np.isfinite(elevation[~above]).all()
    assert np.isnan(slope[above]).all()
    assert np.isnan(plants[:40]).all()
    assert (plants[40:] == 10).all()
    said = cube.attributes
    assert said["headscarp:rejected_pixels"]["elevation"] >= above.sum()
    assert said["headscarp:rejected_pixels"]["land_cover"] == 40 * SIDE
    assert said["headscarp:sources"]["dem"]["suspect"] == [
        "elevations above 9000 m: if the file is in feet, state `unit: ft`"
    ]


def test_a_dem_without_terrain_is_refused(tmp_path: Path) -> None:
    flat = np.full((SIDE, SIDE), 812, np.int16)
    with pytest.raises(BadRaster, match=r"dem\.tif: expected terrain, found 812 m everywhere"):
        build(tmp_path, flat, np.full((SIDE, SIDE), 10, np.uint8))
