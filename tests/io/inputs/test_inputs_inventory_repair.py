"""Repair of polygons: what is kept of broken ones, and that whole ones are left alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.io.inputs import inventory_repair as mend
from headscarp.io.inputs.inventory_repair import duplicates, mean_width, repair


def array(*wkt: str | None) -> np.ndarray:
    return np.array([None if w is None else shapely.from_wkt(w) for w in wkt], dtype=object)


def one(wkt: str) -> tuple[shapely.Geometry, str, set[str]]:
    found = repair(array(wkt))
    return found.geometry[0], str(found.refusal[0]), {name for name, mask in found.repairs.items() if mask.any()}


def star(radii: list[float], x: float, y: float) -> shapely.Polygon:
    angles = np.linspace(0, 2 * math.pi, len(radii), endpoint=False)
    return shapely.Polygon([(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)])


STARS = st.builds(
    star,
    st.lists(st.floats(20, 300), min_size=4, max_size=30),
    st.floats(-1e5, 1e5),
    st.floats(-1e5, 1e5),
)
RINGS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=3, max_size=12, unique=True)


@given(st.lists(STARS, min_size=1, max_size=5))
def test_whole_polygons_keep_their_outline(shapes: list[shapely.Polygon]) -> None:
    wide = [s for s in shapes if mean_width(np.array([s]))[0] > 2]
    found = repair(np.array(wide, dtype=object))
    assert found.kept.all()
    assert all(shapely.equals(a, b) for a, b in zip(found.geometry, wide, strict=True))
    assert not any(mask.any() for mask in found.repairs.values())


@settings(max_examples=200)
@given(RINGS)
def test_any_ring_comes_out_valid_or_refused(ring: list[tuple[int, int]]) -> None:
    shape = shapely.Polygon(ring)
    found = repair(np.array([shape], dtype=object))
    if not found.kept[0]:
        assert found.refusal[0] in {mend.COLLAPSED, mend.SLIVER}
        return
    out = found.geometry[0]
    assert shapely.is_valid(out)
    assert shapely.area(out) > 0
    enclosed = shapely.union_all(list(shapely.polygonize([shapely.node(shape.exterior)]).geoms))
    assert shapely.area(out) <= shapely.area(enclosed) + 1e-6
    assert shapely.area(shapely.difference(out, enclosed)) < 1e-6
    if shapely.is_valid(shape):
        assert shapely.area(out) == pytest.approx(shapely.area(shape))


def test_a_figure_of_eight_keeps_both_loops() -> None:
    out, refusal, repairs = one("POLYGON((0 0, 200 200, 200 0, 0 200, 0 0))")
    assert (refusal, repairs) == ("", {mend.CROSSING})
    assert shapely.area(out) == pytest.approx(20_000)
    assert shapely.get_num_geometries(out) == 2


def test_a_pentagram_is_filled() -> None:
    angles = [k * 4 * math.pi / 5 for k in range(5)]
    out = repair(np.array([shapely.Polygon([(100 * math.cos(a), 100 * math.sin(a)) for a in angles])])).geometry[0]
    inner = 100 * math.cos(2 * math.pi / 5) / math.cos(math.pi / 5)
    analytic = 5 * 100 * inner * math.sin(math.pi / 5)
    assert shapely.area(out) == pytest.approx(analytic)


def test_a_nested_part_is_a_hole_wound_the_wrong_way() -> None:
    wkt = "MULTIPOLYGON(((0 0, 400 0, 400 400, 0 400, 0 0)), ((100 100, 200 100, 200 200, 100 200, 100 100)))"
    out, refusal, repairs = one(wkt)
    assert (refusal, repairs) == ("", {mend.WINDING})
    assert shapely.area(out) == pytest.approx(160_000 - 10_000)


def test_parts_that_overlap_are_joined() -> None:
    out, _, repairs = one(
        "MULTIPOLYGON(((0 0, 200 0, 200 200, 0 200, 0 0)), ((100 100, 300 100, 300 300, 100 300, 100 100)))"
    )
    assert repairs == {mend.CROSSING}
    assert shapely.area(out) == pytest.approx(70_000)


def test_shells_run_counter_clockwise_whatever_the_file_says() -> None:
    clockwise = "POLYGON((0 0, 0 100, 100 100, 100 0, 0 0), (20 20, 20 40, 40 40, 40 20, 20 20))"
    out, _, repairs = one(clockwise)
    assert repairs == {mend.WINDING}
    assert shapely.is_ccw(out.exterior)
    assert not shapely.is_ccw(out.interiors[0])


@pytest.mark.parametrize(
    ("wkt", "reason"),
    [
        (None, mend.EMPTY),
        ("POLYGON EMPTY", mend.EMPTY),
        ("POINT(1 1)", mend.NOT_POLYGON),
        ("LINESTRING(0 0, 100 100)", mend.NOT_POLYGON),
        ("POLYGON((0 0, 100 0, 100 0, 0 0))", mend.COLLAPSED),
        ("POLYGON((0 0, 1000 0, 1000 0.5, 0 0.5, 0 0))", mend.SLIVER),
    ],
)
def test_what_has_no_outline_is_refused(wkt: str | None, reason: str) -> None:
    assert repair(array(wkt)).refusal.tolist() == [reason]


def test_coordinates_that_are_not_finite_are_refused() -> None:
    shapes = np.array(
        [shapely.Polygon([(0, 0), (np.nan, 100), (100, 0)]), shapely.Polygon([(0, 0), (np.inf, 9), (9, 0)])]
    )
    assert set(repair(shapes).refusal) == {mend.NOT_FINITE}


def test_points_beside_a_polygon_and_slivers_among_parts_go() -> None:
    collection = "GEOMETRYCOLLECTION(POINT(5 5), POLYGON((0 0, 100 0, 100 100, 0 100, 0 0)))"
    out, refusal, repairs = one(collection)
    assert (refusal, repairs, shapely.area(out)) == ("", {mend.MIXED}, 10_000)
    parts = "MULTIPOLYGON(((0 0, 100 0, 100 100, 0 100, 0 0)), ((200 0, 900 0, 900 0.5, 200 0.5, 200 0)))"
    out, refusal, repairs = one(parts)
    assert (refusal, repairs, shapely.area(out)) == ("", {mend.SLIVER_PART}, 10_000)


@given(st.integers(0, 3), st.booleans())
def test_a_polygon_drawn_twice_is_known_wherever_it_begins(start: int, backwards: bool) -> None:
    ring = [(0.0, 0.0), (100.0, 0.0), (100.0, 80.0), (0.0, 80.0)]
    again = ring[start:] + ring[:start]
    again = again[::-1] if backwards else again
    shapes = np.array([shapely.Polygon(ring), shapely.Polygon(again), shapely.Polygon([(x + 1, y) for x, y in ring])])
    assert duplicates(shapes, np.array([1, 1, 1])).tolist() == [False, True, False]
    assert duplicates(shapes, np.array([1, 0, 1])).tolist() == [False, False, False]
