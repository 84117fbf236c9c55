"""Boore and Atkinson 2008 against a scalar re-derivation and its own limits; distances; correlated fields."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.hazard.groundmotion import (
    BA08_PGA,
    BA08_PGV,
    CorrelatedField,
    PlanarRupture,
    median_ln,
    rupture_size_m,
    vs30_from_gradient,
)

MAGNITUDES, DISTANCES, SPEEDS = st.floats(5.0, 8.0), st.floats(0.0, 200.0), st.floats(180.0, 1300.0)


def ba08_pga_by_hand(magnitude: float, rjb: float, vs30: float) -> float:
    """PGA in g, unspecified mechanism, written from the paper's equations with its own symbols."""
    e1, e5, e6, mh = -0.53804, 0.28805, -0.10164, 6.75
    f_m = e1 + e5 * (magnitude - mh) + e6 * (magnitude - mh) ** 2 if magnitude <= mh else e1
    r = math.sqrt(rjb**2 + 1.35**2)
    f_d = (-0.66050 + 0.11970 * (magnitude - 4.5)) * math.log(r) - 0.01151 * (r - 1.0)
    pga4nl = math.exp(f_m + f_d)
    if vs30 <= 180:
        bnl = -0.640
    elif vs30 <= 300:
        bnl = (-0.640 + 0.14) * math.log(vs30 / 300) / math.log(180 / 300) - 0.14
    elif vs30 < 760:
        bnl = -0.14 * math.log(vs30 / 760) / math.log(300 / 760)
    else:
        bnl = 0.0
    dx = math.log(0.09 / 0.03)
    dy = bnl * math.log(0.09 / 0.06)
    c, d = (3 * dy - bnl * dx) / dx**2, -(2 * dy - bnl * dx) / dx**3
    if pga4nl <= 0.03:
        f_nl = bnl * math.log(0.06 / 0.1)
    elif pga4nl <= 0.09:
        ratio = math.log(pga4nl / 0.03)
        f_nl = bnl * math.log(0.06 / 0.1) + c * ratio**2 + d * ratio**3
    else:
        f_nl = bnl * math.log(pga4nl / 0.1)
    return math.exp(f_m + f_d - 0.360 * math.log(vs30 / 760) + f_nl)


def pga(magnitude: float, rjb: float, vs30: float) -> float:
    return float(np.exp(median_ln(BA08_PGA, magnitude, rjb_km=rjb, vs30=vs30)))


def pgv(magnitude: float, rjb: float, vs30: float) -> float:
    return float(np.exp(median_ln(BA08_PGV, magnitude, rjb_km=rjb, vs30=vs30)))


@given(MAGNITUDES, DISTANCES, SPEEDS)
def test_pga_equals_scalars(magnitude: float, rjb: float, vs30: float) -> None:
    assert pga(magnitude, rjb, vs30) == pytest.approx(ba08_pga_by_hand(magnitude, rjb, vs30), rel=1e-9)


def test_orders_of_magnitude() -> None:
    """A magnitude 7 at 10 km on soft rock: roughly a third of g and some tens of cm/s."""
    assert 0.2 < pga(7.0, 10.0, 760.0) < 0.4
    assert 15.0 < pgv(7.0, 10.0, 760.0) < 45.0
    assert 0.001 < pga(5.0, 150.0, 760.0) < 0.01


def test_mechanisms_differ_by_their_constants() -> None:
    medians = [float(median_ln(BA08_PGV, 7.0, rjb_km=20.0, vs30=900.0, mechanism=m)) for m in ("reverse", "normal")]
    assert medians[0] - medians[1] == pytest.approx(5.08210 - 4.63188)


@given(st.floats(5.0, 7.9), DISTANCES, SPEEDS)
def test_larger_quakes_shake_more_below_saturation(magnitude: float, rjb: float, vs30: float) -> None:
    """PGA saturates within a few kilometres of a large rupture, PGV does not."""
    assert pgv(magnitude + 0.1, rjb + 3.0, vs30) > pgv(magnitude, rjb + 3.0, vs30)


@given(MAGNITUDES, DISTANCES)
def test_nearer_shakes_more(magnitude: float, rjb: float) -> None:
    assert pga(magnitude, rjb, 760.0) > pga(magnitude, rjb + 1.0, 760.0)


def test_soft_ground_amplifies_weak_motion_and_less_so_strong_motion() -> None:
    weak = pga(5.5, 150.0, 250.0) / pga(5.5, 150.0, 760.0)
    strong = pga(7.5, 1.0, 250.0) / pga(7.5, 1.0, 760.0)
    assert weak > 1.4 > strong
    assert pga(7.5, 1.0, 180.0) < pga(7.5, 1.0, 760.0)


@pytest.mark.parametrize("edge", [0.03, 0.09])
def test_site_term_has_no_steps(edge: float) -> None:
    """Distances at which rock PGA crosses the edges of the cubic transition."""
    distances = np.linspace(1.0, 199.0, 400_001)
    rock = np.exp(median_ln(BA08_PGA, 6.0, rjb_km=distances, vs30=760.0))
    at = int(np.searchsorted(-rock, -edge))
    near = median_ln(BA08_PGA, 6.0, rjb_km=distances[at - 2 : at + 3], vs30=220.0)
    assert np.abs(np.diff(near)).max() < 1e-3


def test_nan_passes_through() -> None:
    found = median_ln(BA08_PGA, 6.5, rjb_km=np.array([10.0, np.nan, 10.0]), vs30=np.array([400.0, 400.0, np.nan]))
    assert np.isnan(found).tolist() == [False, True, True]


@given(
    st.floats(0.0, 359.0),
    st.floats(20.0, 90.0),
    st.floats(-60e3, 60e3),
    st.floats(-60e3, 60e3),
)
def test_rjb_equals_distance_to_the_projected_polygon(strike: float, dip: float, x: float, y: float) -> None:
    rupture = PlanarRupture(1_000.0, -2_000.0, strike, dip, 30_000.0, 15_000.0)
    azimuth, breadth = math.radians(strike), 15_000.0 * math.cos(math.radians(dip))
    end = rupture.along(1.0)
    down = np.array([math.cos(azimuth), -math.sin(azimuth)]) * breadth
    corners = [(1_000.0, -2_000.0), end, (end[0] + down[0], end[1] + down[1]), (1_000.0 + down[0], -2_000.0 + down[1])]
    hull = shapely.MultiPoint(corners).convex_hull
    assert float(rupture.rjb_km(x, y)) == pytest.approx(hull.distance(shapely.Point(x, y)) / 1000.0, abs=1e-6)


def test_dip_is_to_the_right_of_strike() -> None:
    north_striking = PlanarRupture(0.0, 0.0, 0.0, 45.0, 10_000.0, 10_000.0)
    assert float(north_striking.rjb_km(5_000.0, 5_000.0)) == 0.0
    assert float(north_striking.rjb_km(-5_000.0, 5_000.0)) == pytest.approx(5.0)


def test_rupture_size() -> None:
    """Magnitude 7.5: about 100 km by 18 km."""
    length, width = rupture_size_m(7.5)
    assert length == pytest.approx(100_000.0, rel=0.01)
    assert width == pytest.approx(18_400.0, rel=0.01)


def test_vs30_of_the_published_bins() -> None:
    gradients = [1e-5, 1e-4, 2.2e-3, 6.3e-3, 0.018, 0.05, 0.10, 0.138, 0.3]
    expected = [180.0, 180.0, 240.0, 300.0, 360.0, 490.0, 620.0, 760.0, 900.0]
    np.testing.assert_allclose(vs30_from_gradient(gradients), expected)
    assert np.isnan(vs30_from_gradient(np.array([np.nan]))).all()
    assert (np.diff(vs30_from_gradient(np.geomspace(1e-5, 1.0, 200))) >= 0).all()


@pytest.mark.parametrize("kind", ["exponential", "gaussian"])
def test_fields_have_the_correlation_they_promise(kind: str) -> None:
    field = CorrelatedField((64, 80), 20.0, kind)  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    draws = np.array([field.draw(rng) for _ in range(600)], float)
    assert draws.shape == (600, 64, 80)
    assert draws.mean() == pytest.approx(0.0, abs=0.03)
    assert draws.var() == pytest.approx(1.0, abs=0.03)
    for lag in (1, 5, 10, 20):
        expected = math.exp(-3.0 * (lag / 20.0) ** (1 if kind == "exponential" else 2))
        east = (draws[:, :, :-lag] * draws[:, :, lag:]).mean()
        south = (draws[:, :-lag] * draws[:, lag:]).mean()
        assert east == pytest.approx(expected, abs=0.04)
        assert south == pytest.approx(expected, abs=0.04)


def test_opposite_edges_do_not_know_each_other() -> None:
    field = CorrelatedField((48, 48), 12.0)
    rng = np.random.default_rng(0)
    draws = np.array([field.draw(rng) for _ in range(2_000)], float)
    assert abs((draws[:, :, 0] * draws[:, :, -1]).mean()) < 0.05


def test_equal_seeds_equal_fields() -> None:
    one, other = (CorrelatedField((30, 41), 8.0).draw(np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.dtype == np.float32
