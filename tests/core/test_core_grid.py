from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from headscarp.core.event import Shaking
from headscarp.core.grid import Bounds, event_extent, snapped_grid, utm_crs

CELL = 1 / 60


def shaking(west: float, north: float, pga: np.ndarray) -> Shaking:
    transform = Affine(CELL, 0, west, 0, -CELL, north)
    return Shaking(GeoBox(wh_(pga.shape[1], pga.shape[0]), transform, "EPSG:4326"), pga.astype(np.float32))


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"),
    [
        (84.7, 28.2, 32645),
        (20.6, 38.7, 32634),
        (-180.0, 51.0, 32601),
        (180.0, 51.0, 32601),
        (179.9, -17.0, 32760),
        (102.3, 28.5, 32648),
    ],
)
def test_zone_of_a_point(longitude: float, latitude: float, epsg: int) -> None:
    assert utm_crs(longitude, latitude).to_epsg() == epsg


@given(st.floats(1e5, 9e5), st.floats(1e5, 9e6), st.floats(1, 3e5), st.floats(1, 3e5))
def test_grids_share_one_lattice_and_hold_their_bounds(west: float, south: float, width: float, height: float) -> None:
    grid = snapped_grid(Bounds(west, south, west + width, south + height), utm_crs(84, 28))
    left, bottom, right, top = grid.boundingbox
    assert left % 30 == 0 and top % 30 == 0 and grid.resolution.x == 30 and grid.resolution.y == -30
    assert left <= west and bottom <= south and right >= west + width and top >= south + height
    assert right - (west + width) < 30 + 1e-6 and west - left < 30


def test_extent_holds_every_felt_cell_and_little_more() -> None:
    pga = np.full((120, 120), 0.001)
    pga[40:80, 30:90] = 0.1
    found = event_extent(shaking(84.0, 29.0, pga), 85.0, 28.0)
    assert not found.cut_by_shakemap_edge
    to_utm = Transformer.from_crs("EPSG:4326", str(found.grid.crs), always_xy=True)
    for lon, lat in [(84.5, 29 - 40 * CELL), (85.5, 29 - 40 * CELL), (84.5, 29 - 80 * CELL), (85.5, 29 - 80 * CELL)]:
        x, y = to_utm.transform(lon, lat)
        assert found.grid.boundingbox.left - 1e-3 <= x <= found.grid.boundingbox.right + 1e-3
        assert found.grid.boundingbox.bottom - 1e-3 <= y <= found.grid.boundingbox.top + 1e-3
    width_m = Geod(ellps="WGS84").inv(84.5, 28.33, 85.5, 28.33)[2]
    assert found.grid.shape[1] * 30 == pytest.approx(width_m, rel=0.02)


def test_edge_cut_is_flagged() -> None:
    pga = np.full((10, 10), 0.01)
    pga[5, 0] = 0.02
    assert event_extent(shaking(84.0, 29.0, pga), 84.0, 29.0).cut_by_shakemap_edge


def test_weak_shaking_still_has_an_extent_and_nan_is_not_felt() -> None:
    pga = np.full((10, 10), 0.01)
    pga[0, :] = np.nan
    found = event_extent(shaking(84.0, 29.0, pga), 84.0, 29.0)
    assert not found.cut_by_shakemap_edge
    assert found.grid.shape[0] * 30 == pytest.approx(9 * CELL * 110_800, rel=0.03)


def test_extent_across_the_antimeridian_is_continuous() -> None:
    pga = np.full((30, 60), 0.1)
    found = event_extent(shaking(179.5, -17.0, pga), -179.9, -17.2)
    assert found.grid.shape[1] * 30 == pytest.approx(60 * CELL * 106_500, rel=0.02)
