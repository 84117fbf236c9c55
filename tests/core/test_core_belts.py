"""Distances to plate boundaries and orogens, and the table that makes belts of them."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from headscarp.core.belts import BeltRule, Belts, Boundary, boundaries_of, distances_to_arcs_km, unit_vectors
from headscarp.tables.regions import BELTS, OROGENS


@settings(max_examples=60, deadline=None)
@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    start=st.tuples(st.floats(-180, 180), st.floats(-85, 85)),
    bearing=st.floats(0, 360),
    length=st.floats(1e3, 3e6),
)
def test_the_distance_to_an_arc_is_that_to_its_nearest_point(
    lon: float, lat: float, start: tuple[float, float], bearing: float, length: float
) -> None:
    sphere = Geod(a=6371000.0, b=6371000.0)
    end = sphere.fwd(*start, bearing, length)[:2]
    along = sphere.fwd_intermediate(*start, bearing, 4001, length / 4000, initial_idx=0, return_back_azimuth=False)
    points = np.column_stack([along.lons, along.lats])
    nearest = np.min(sphere.inv(*points.T, np.full(4001, lon), np.full(4001, lat))[2]) / 1000
    vectors = unit_vectors([start, end])
    found = distances_to_arcs_km(unit_vectors([[lon, lat]])[0], vectors[:1], vectors[1:])[0]
    assert found == pytest.approx(nearest, abs=length / 4000 / 1000)


def test_an_arc_without_length_is_a_point() -> None:
    here = unit_vectors([[10.0, 0.0]])
    assert distances_to_arcs_km(unit_vectors([[11.0, 0.0]])[0], here, here)[0] == pytest.approx(111.19, abs=0.01)


def square(west: float, south: float, side: float = 2.0) -> np.ndarray:
    return np.array([[west, south], [west + side, south], [west + side, south + side], [west, south + side]])


def toy(outline: np.ndarray) -> Belts:
    rule = BeltRule(name="X", plates=frozenset({"AA"}), both=False, orogens=("O",))
    line = Boundary(frozenset({"AA", "BB"}), np.array([[0.0, -60.0], [1.0, -60.0]]))
    return Belts([line], [rule], {"O": outline})


@pytest.mark.parametrize("west", [-181.0, 179.0, -541.0, 10.0])
def test_within_an_orogen_the_distance_is_zero_on_either_side_of_the_date_line(west: float) -> None:
    belts = toy(square(west, 20.0))
    for lon in (west + 0.5, west + 1.5):
        wrapped = (lon + 180.0) % 360.0 - 180.0
        assert belts.distances_km(wrapped, 21.0) == {"X": 0.0}
    assert 50 < belts.distances_km((west - 0.5 + 180) % 360 - 180, 21.0)["X"] < 53


def test_outlines_may_be_text() -> None:
    text = ", ".join(f"{x} {y}" for x, y in square(10.0, 20.0))
    assert toy(text).distances_km(11.0, 21.0) == {"X": 0.0}


def test_rules_choose_boundaries_by_their_plates() -> None:
    himalayan, pacific = BELTS
    assert himalayan.holds(frozenset({"EU", "IN"}))
    assert not himalayan.holds(frozenset({"EU", "NA"}))
    assert not himalayan.holds(frozenset({"IN", "SO"}))
    assert pacific.holds(frozenset({"PA", "AU"}))
    assert pacific.holds(frozenset({"SU", "AU"}))
    assert not pacific.holds(frozenset({"PA", "AN"}))
    assert not pacific.holds(frozenset({"EU", "IN"}))


def test_a_belt_without_its_geometry_is_refused() -> None:
    line = Boundary(frozenset({"AA", "BB"}), np.array([[0.0, 0.0], [1.0, 0.0]]))
    with pytest.raises(ValueError, match="outlines of its orogens"):
        Belts([line], [BeltRule(name="X", plates=frozenset({"AA"}), both=False, orogens=("O",))], {})
    with pytest.raises(ValueError, match="found none"):
        Belts([line], [BeltRule(name="X", plates=frozenset({"ZZ"}), both=False)], {})
    with pytest.raises(ValueError, match="PlateA"):
        boundaries_of({"features": [{"geometry": {"type": "Point"}, "properties": {}}]})


def test_every_outline_is_a_simple_ring_of_the_earth() -> None:
    for name, text in OROGENS.items():
        ring = np.array([v.split() for v in text.split(",")], dtype=float)
        assert shapely.Polygon(ring).is_valid, name
        assert (np.abs(ring[:, 1]) <= 90).all(), name
        assert len(ring) >= 8, name
    named = {orogen for rule in BELTS for orogen in rule.orogens}
    assert named == set(OROGENS)
