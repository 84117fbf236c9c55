"""Slope, aspect and curvature against planes, cones, paraboloids, numpy and a published slope grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from headscarp.core.pci.pixels import PixelSize
from headscarp.core.pci.terrain import empty_terrain, terrain, terrain_rows
from tests.core.pci.landforms import SQUARE, axes, fractal, plane

INNER = (slice(6, -6), slice(6, -6))


@pytest.mark.parametrize("azimuth", range(0, 360, 45))
@pytest.mark.parametrize("slope", [1.5, 30.0, 75.0])
def test_plane_has_its_slope_and_aspect_even_at_the_edge(slope: float, azimuth: int) -> None:
    out = terrain(plane((9, 11), slope=slope, azimuth=azimuth), SQUARE)
    assert out.slope == pytest.approx(slope, abs=2e-3)
    assert out.east == pytest.approx(np.sin(np.radians(azimuth)), abs=2e-3)
    assert out.north == pytest.approx(np.cos(np.radians(azimuth)), abs=2e-3)


@given(
    slope=st.floats(2.0, 70.0),
    azimuth=st.floats(0.0, 360.0),
    height=st.sampled_from([30.0, 90.0]),
    width=st.sampled_from([30.0, 27.5]),
)
@settings(max_examples=40, deadline=None)
def test_plane_on_pixels_of_any_size(slope: float, azimuth: float, height: float, width: float) -> None:
    pixel = PixelSize(height, width)
    out = terrain(plane((7, 7), slope=slope, azimuth=azimuth, pixel=pixel), pixel)
    assert out.slope == pytest.approx(slope, abs=5e-3)
    towards = np.degrees(np.arctan2(out.east, out.north)) - azimuth
    assert (towards + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=0.1)


def test_flat_ground_has_no_direction() -> None:
    below = terrain(plane((7, 7), slope=0.9, azimuth=40.0), SQUARE)
    above = terrain(plane((7, 7), slope=1.1, azimuth=40.0), SQUARE)
    assert not below.east.any() and not below.north.any()
    assert np.hypot(above.east, above.north) == pytest.approx(1.0)
    constant = terrain(np.full((5, 5), 812.0, np.float32), SQUARE)
    assert not any(layer.any() for layer in (constant.slope, constant.east, constant.north))


def test_cone_falls_away_from_its_tip() -> None:
    east, north = axes((61, 61))
    out = terrain((900.0 - 0.7 * np.hypot(east, north)).astype(np.float32), SQUARE)
    away = (np.hypot(east, north) > 400.0) & (np.maximum(abs(east), abs(north)) < 890.0)
    assert out.slope[away] == pytest.approx(np.degrees(np.arctan(0.7)), abs=0.15)
    assert out.east[away] == pytest.approx((east / np.hypot(east, north))[away], abs=0.01)
    assert out.north[away] == pytest.approx((north / np.hypot(east, north))[away], abs=0.01)


@pytest.mark.parametrize("slope", [0.0, 0.5, 12.0, 60.0])
def test_gradient_and_position_of_a_plane(slope: float) -> None:
    out = terrain(plane((9, 9), slope=slope, azimuth=90.0), SQUARE)
    assert out.gradient == pytest.approx(np.tan(np.radians(slope)), abs=1e-5)
    assert out.local_position == pytest.approx(0.0, abs=1e-3)


def test_position_of_a_pillar() -> None:
    z = np.zeros((7, 7), np.float32)
    z[3, 3] = 8.0
    position = terrain(z, SQUARE).local_position
    around = [(y, x) for y in (2, 3, 4) for x in (2, 3, 4) if (y, x) != (3, 3)]
    assert position[3, 3] == 8.0 and all(position[at] == -1.0 for at in around)
    assert np.count_nonzero(position) == 9


def test_position_equals_scipy() -> None:
    z = fractal((50, 70), seed=6)
    above = z - (9.0 * ndimage.uniform_filter(z.astype(float), 3) - z) / 8.0
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(terrain(z, SQUARE).local_position[inner], above[inner], atol=1e-3)


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_laplacian_of_a_paraboloid_is_the_same_everywhere(tilt: float) -> None:
    """z = 500 - a x^2 - b y^2 + c x: 200 (a + b) in 0.01 / m, however steep."""
    east, north = axes((31, 41))
    out = terrain((500.0 - 2e-4 * east**2 - 1e-4 * north**2 + tilt * east).astype(np.float32), SQUARE)
    assert out.laplacian[INNER] == pytest.approx(0.06, abs=2e-4)
    assert np.isnan(out.laplacian[:4]).all() and np.isnan(out.laplacian[:, -4:]).all()


@given(seed=st.integers(0, 1000), cut=st.integers(0, 40), left=st.integers(0, 30), width=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_strips_and_crops_have_the_bytes_of_the_whole(seed: int, cut: int, left: int, width: int) -> None:
    """Whatever the strip, and wherever a row falls among the lanes of wide instructions."""
    z = fractal((40, 90), seed=seed)
    z[np.random.default_rng(seed).random(z.shape) < 0.01] = np.nan
    whole, strips = terrain(z, SQUARE), empty_terrain(z.shape)
    for top, bottom in ((cut, 40), (0, cut)):
        terrain_rows(z, top, bottom, (30.0, 30.0), strips)
    part = terrain(np.ascontiguousarray(z[:, left : left + width]), SQUARE)
    right = min(left + width, 90)
    first, last = (left + 4 if left else 0), (right - 4 if right < 90 else 90)
    for one, other, crop in zip(whole, strips, part, strict=True):
        assert one.tobytes() == other.tobytes()
        if first < last:
            np.testing.assert_array_equal(one[:, first:last], crop[:, first - left : last - left])


def test_slope_equals_the_reference_of_jiuzhaigou(shared_data: Path) -> None:
    folder = shared_data / "events" / "us_us2000a5x1_jiuzhaigou2017_nolabel"
    with rasterio.open(folder / "dem_30m.tif") as file:
        z, transform = file.read(1).astype(np.float32), file.transform
    with rasterio.open(folder / "slope_30m.tif") as file:
        reference = file.read(1, masked=True).filled(np.nan)
    ours = terrain(z, PixelSize(-transform.e, transform.a)).slope
    known = np.isfinite(reference)
    known[[0, -1], :] = known[:, [0, -1]] = False
    assert known.sum() > 300_000
    assert np.abs(ours - reference)[known].max() < 1e-3


def test_a_void_changes_its_own_pixel_only_on_a_plane() -> None:
    z = plane((9, 9), slope=25.0, azimuth=110.0)
    z[4, 4] = np.nan
    out = terrain(z, SQUARE)
    assert np.isnan(out.slope[4, 4]) and np.isnan(out.east[4, 4]) and np.isnan(out.north[4, 4])
    assert np.isnan(out.slope).sum() == 1
    assert np.delete(out.slope.ravel(), 40) == pytest.approx(25.0, abs=2e-3)


def test_a_lone_pixel_has_no_slope() -> None:
    z = np.full((5, 5), np.nan, np.float32)
    z[2, 2] = 10.0
    assert np.isnan(terrain(z, SQUARE).slope).all()


@pytest.mark.parametrize(("sign", "name"), [(-1.0, "hill"), (1.0, "bowl")])
def test_paraboloid_curvature(sign: float, name: str) -> None:
    """z = k r^2 / 2: tangential curvature k / sqrt(1 + g), profile k / (1 + g)^1.5, g = (k r)^2."""
    k = 1.0 / 800.0
    east, north = axes((81, 81))
    distance = np.hypot(east, north)
    out = terrain((700.0 + sign * 0.5 * k * distance**2).astype(np.float32), SQUARE)
    steep = (distance > 100.0) & np.isfinite(out.plan)
    g = (k * distance[steep]) ** 2
    assert out.plan[steep] == pytest.approx(-sign * 100.0 * k / np.sqrt(1 + g), abs=3e-3), name
    assert out.profile[steep] == pytest.approx(-sign * 100.0 * k / (1 + g) ** 1.5, abs=3e-3), name


def test_nose_and_hollow_differ_in_plan_not_in_profile() -> None:
    """A cone bends along its contours only: 1 / r around a tip, with the sign of the nose."""
    east, north = axes((101, 101))
    distance = np.hypot(east, north)
    ring = (distance > 500.0) & (distance < 1300.0)
    nose = terrain((900.0 - 0.5 * distance).astype(np.float32), SQUARE)
    hollow = terrain((900.0 + 0.5 * distance).astype(np.float32), SQUARE)
    # Normal curvature along the contour: z' / (r sqrt(1 + z'^2)).
    expected = 100.0 * 0.5 / (distance[ring] * np.sqrt(1.25))
    assert nose.plan[ring] == pytest.approx(expected, abs=4e-3)
    assert hollow.plan[ring] == pytest.approx(-expected, abs=4e-3)
    assert nose.profile[ring] == pytest.approx(0.0, abs=4e-3)


def test_ridge_of_parabolic_section() -> None:
    east, _ = axes((31, 61))
    k = 1.0 / 500.0
    out = terrain((800.0 - 0.5 * k * east**2).astype(np.float32), SQUARE)
    flank = np.abs(east[INNER]) > 60.0
    assert out.plan[INNER][flank] == pytest.approx(0.0, abs=2e-3)
    g = (k * east[INNER][flank]) ** 2
    assert out.profile[INNER][flank] == pytest.approx(100.0 * k / (1 + g) ** 1.5, abs=3e-3)


def test_curvature_on_flat_and_plane_is_zero_and_clipped_on_spikes() -> None:
    flat = terrain(plane((15, 15), slope=0.5, azimuth=10.0), SQUARE)
    inclined = terrain(plane((15, 15), slope=35.0, azimuth=200.0), SQUARE)
    assert not flat.plan[INNER].any()
    assert inclined.plan[INNER] == pytest.approx(0.0, abs=2e-3)
    assert inclined.profile[INNER] == pytest.approx(0.0, abs=2e-3)
    spikes = (fractal((60, 60), seed=1) * 40.0).astype(np.float32)
    out = terrain(spikes, SQUARE)
    assert np.nanmax(out.profile) == 10.0 and np.nanmin(out.profile) == -10.0


def test_curvature_is_unknown_beside_a_void() -> None:
    z = plane((25, 31), slope=20.0, azimuth=0.0)
    z[7, 7] = np.nan
    missing = np.isnan(terrain(z, SQUARE).plan)
    expected = np.ones_like(missing)
    expected[4:-4, 4:-4] = False
    expected[7 - 4 : 7 + 5, 7 - 4 : 7 + 5] = True
    assert np.array_equal(missing, expected)
