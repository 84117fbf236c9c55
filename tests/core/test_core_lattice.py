"""The zone lattice: every place has one pixel and one block, whichever event asks."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from headscarp.core.grid import Bounds, snapped_grid, utm_crs
from headscarp.core.lattice import BLOCK, BlockIndex, ZoneLattice, blocks_in
from headscarp.core.tiling import Window

BLOCK_M = BLOCK * 30.0


def grid(west: float, north: float, *, width: int = 300, height: int = 200, epsg: int = 32634) -> GeoBox:
    return GeoBox(wh_(width, height), Affine(30, 0, west, 0, -30, north), f"EPSG:{epsg}")


def test_pixel_edges_are_multiples_of_thirty_metres() -> None:
    zone = ZoneLattice(32634)
    assert zone.transform.c % 30 == zone.transform.f % 30 == 0
    assert (zone.transform.c % BLOCK_M, zone.transform.f % BLOCK_M) == (0, 0)
    assert zone.shape.y % BLOCK == zone.shape.x % BLOCK == 0
    # The whole zone, and 1,100 km past its edges and the equator.
    west, south, east, north = zone.whole.boundingbox.bbox
    assert (
        west < 166_000 - 1_100_000
        and east > 834_000 + 1_100_000
        and south < -1_100_000
        and north > 10_000_000 + 1_100_000
    )


@given(
    x=st.integers(-30_000, 60_000), y=st.integers(-30_000, 370_000), width=st.integers(1, 5000),
    height=st.integers(1, 5000), block=st.sampled_from([128, 512, 2048]),
)  # fmt: skip
def test_blocks_cover_a_grid_once_and_parts_know_their_place(
    x: int, y: int, width: int, height: int, block: int
) -> None:
    zone = ZoneLattice(32734, block)
    area = grid(x * 30.0, y * 30.0, width=width, height=height, epsg=32734)
    at = zone.offset(area)
    whole = Window(at.y, at.x, height, width)
    parts = [zone.part(index, whole) for index in zone.blocks_under(area)]
    assert sum(part.height * part.width for part in parts) == width * height
    assert all(part.height > 0 and part.width > 0 for part in parts)
    assert len({(part.y, part.x) for part in parts}) == len(parts)
    corner = zone.geobox(parts[0]).transform
    assert (corner.c, corner.f) == (x * 30.0, y * 30.0)


@given(lon=st.floats(-180, 179.99), lat=st.floats(-79.9, 83.9))
def test_events_that_overlap_agree_on_the_block_of_a_place(lon: float, lat: float) -> None:
    crs = utm_crs(lon, lat)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    small = snapped_grid(Bounds(x - 100, y - 100, x + 100, y + 100), crs)
    large = snapped_grid(Bounds(x - 9000, y - 70_000, x + 80_000, y + 100), crs)
    zone = ZoneLattice.under(small)
    assert zone == ZoneLattice.under(large)
    assert set(zone.blocks_under(small)) <= set(zone.blocks_under(large))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (grid(400_010, 4_300_020), "multiples of 30 m"),
        (GeoBox(wh_(5, 5), Affine(20, 0, 400_000, 0, -20, 4_300_000), "EPSG:32634"), "30 m pixels"),
        (GeoBox(wh_(5, 5), Affine(0.1, 0, 20, 0, -0.1, 38), "EPSG:4326"), "a UTM zone of WGS 84"),
        (GeoBox(wh_(5, 5), Affine(30, 0, 0, 0, -30, 0), "EPSG:3857"), "a UTM zone of WGS 84"),
        (grid(1_960_000 // 30 * 30, 0, width=3000), "inside the lattice"),
        (grid(0, 90_000_000), "inside the lattice"),
    ],
)
def test_grids_that_are_not_on_it_are_refused(wrong: GeoBox, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ZoneLattice.under(wrong)


@pytest.mark.parametrize("block", [0, 300, 4096])
def test_blocks_must_tile_the_lattice(block: int) -> None:
    with pytest.raises(ValueError, match="divide 2048"):
        ZoneLattice(32634, block)


def test_keys_are_read_back() -> None:
    assert BlockIndex.parse(BlockIndex(113, 22).key) == (113, 22)
    with pytest.raises(ValueError, match="ROW_COLUMN"):
        BlockIndex.parse("113")


def epsgs(*boxes: tuple[float, float, float, float]) -> set[int]:
    return {zone.epsg for zone in blocks_in([Bounds(*box) for box in boxes])}


def test_boxes_are_cut_at_zones_the_equator_and_the_antimeridian() -> None:
    assert epsgs((20, 38, 21, 39)) == {32634}
    assert epsgs((17, 38, 25, 39)) == {32633, 32634, 32635}
    assert epsgs((-1, -1, 1, 1)) == {32630, 32631, 32730, 32731}
    assert epsgs((179, -19, -179, -17)) == epsgs((179, -19, 181, -17)) == {32760, 32701}
    assert len(epsgs((-180, 10, 180, 11))) == 60
    assert epsgs((18, 38, 24, 39)) == {32634}, "a zone's own edges touch no other zone"


@pytest.mark.parametrize("box", [(1, 5, 2, 4), (1, -85, 2, 0), (1, 0, 1, 2), (-190, 0, 2, 1)])
def test_boxes_that_are_none_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        blocks_in([Bounds(*box)])


@given(
    lon=st.floats(-180, 179), lat=st.floats(-70, 70), width=st.floats(0.05, 7), height=st.floats(0.05, 2),
    inside=st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)),
)  # fmt: skip
def test_every_place_of_a_box_is_in_one_of_its_blocks(
    lon: float, lat: float, width: float, height: float, inside: tuple[float, float]
) -> None:
    found = blocks_in([Bounds(lon, lat, lon + width, lat + height)])
    place = (lon + inside[0] * width, lat + inside[1] * height)
    crs = utm_crs(*place)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(*place)
    zone = ZoneLattice(CRS.from_user_input(crs).to_epsg() or 0)
    column, row = ~zone.transform * (x, y)
    assert BlockIndex(int(row // BLOCK), int(column // BLOCK)) in found[zone]


def test_blocks_far_from_a_box_are_left_out() -> None:
    """At 60 degrees parallels bend by more than a block over a zone: the box of the outline alone would be too much."""
    (blocks,) = blocks_in([Bounds(18, 66, 24, 66.01)]).values()
    rows = {index.row for index in blocks}
    assert len(blocks) < 10 and len(rows) <= 2
    corners = np.array([(index.row, index.column) for index in blocks])
    assert np.ptp(corners[:, 1]) <= 5
