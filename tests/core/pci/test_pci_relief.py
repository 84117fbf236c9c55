"""Relief, roughness and position against scipy and plain numpy, with voids and edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from headscarp.core.pci.focal import above_disc_mean, disc_reaches, window_range
from headscarp.core.pci.pixels import PixelSize, half_side_px, pixel_size, radius_px
from headscarp.core.pci.relief import local_range, relief, topographic_position
from headscarp.core.pci.roughness import elevation_std, residual_std, roughness, surface_ratio
from headscarp.core.types import Raster
from tests.core.pci.landforms import SQUARE, fractal, grid_of, plane


def holed(shape: tuple[int, int], seed: int, *, share: float = 0.1) -> Raster:
    z = fractal(shape, seed=seed)
    z[np.random.default_rng(seed).random(shape) < share] = np.nan
    z[: shape[0] // 4, : shape[1] // 3] = np.nan
    return z


def windows(z: Raster, half: int) -> Raster:
    """(y, x, side, side) views, NaN outside."""
    padded = np.pad(z.astype(np.float64), half, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * half + 1, 2 * half + 1))


@pytest.mark.parametrize("half", [1, 4, 33])
def test_window_range_equals_scipy(half: int) -> None:
    z = fractal((90, 130), seed=half)
    side = 2 * half + 1
    expected = ndimage.maximum_filter(z, side, mode="nearest") - ndimage.minimum_filter(z, side, mode="nearest")
    ours = window_range(z, half, least_share=0.0)
    assert np.array_equal(ours, expected)


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_window_range_with_voids_equals_numpy(seed: int, half: int, share: float) -> None:
    z = holed((17, 23), seed)
    cells = windows(z, half)
    known = np.isfinite(cells).sum(axis=(2, 3))
    full = np.where(np.isnan(cells), -np.inf, cells).max(axis=(2, 3)) - np.where(np.isnan(cells), np.inf, cells).min(
        axis=(2, 3)
    )
    expected = np.where(np.isnan(z) | (known < share * (2 * half + 1) ** 2), np.nan, full)
    np.testing.assert_array_equal(window_range(z, half, least_share=share), expected.astype(np.float32))


def disc(radius: int) -> NDArray[np.bool_]:
    """Cells whose centres lie within the radius."""
    line = np.arange(-radius, radius + 1)
    return np.hypot(line[:, None], line[None, :]) <= radius


@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.05, 0.99), st.sampled_from([-4000.0, 0.0, 7000.0]))
@settings(max_examples=30, deadline=None)
def test_disc_mean_with_voids_equals_numpy(seed: int, radius: int, share: float, base: float) -> None:
    z = holed((14, 19), seed) + np.float32(base)
    cells = np.where(disc(radius), windows(z, radius), np.nan)
    known = np.isfinite(cells).sum(axis=(2, 3))
    mean = np.nansum(cells, axis=(2, 3)) / np.maximum(known, 1)
    expected = np.where(np.isnan(z) | (known < share * disc(radius).sum()), np.nan, z - mean)
    np.testing.assert_allclose(above_disc_mean(z, radius, least_share=share), expected, rtol=1e-6, atol=2e-5)


def test_disc_mean_beyond_one_tile_equals_scipy() -> None:
    z = fractal((40, 1200), seed=2)
    expected = z - ndimage.correlate(z.astype(np.float64), disc(10) / disc(10).sum(), mode="constant")
    inner = (slice(10, -10), slice(10, -10))
    np.testing.assert_allclose(above_disc_mean(z, 10, least_share=0.5)[inner], expected[inner], rtol=1e-6, atol=2e-5)


def test_discs_too_large_to_count_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 140 pixels, found 141"):
        above_disc_mean(np.zeros((3, 3), np.float32), 141, least_share=0.5)


def test_position_above_a_disc_of_ten_pixels() -> None:
    """A single pixel 317 m high among the 317 of its disc stands 316 m above their mean."""
    assert (2 * disc_reaches(10) + 1)[[0, *range(1, 11), *range(1, 11)]].sum() == disc(10).sum() == 317
    z = np.zeros((41, 41), np.float32)
    z[20, 20] = 317.0
    out = topographic_position(z, SQUARE)
    assert out[20, 20] == 316.0
    assert out[20, 30] == -1.0 and out[20, 31] == 0.0
    assert out[27, 27] == -1.0 and out[28, 28] == 0.0


def test_roughness_equals_numpy_over_gdal_like_gradients() -> None:
    z = fractal((40, 50), seed=5)
    kernel = np.array([1.0, 2.0, 1.0])
    east = ndimage.correlate1d(ndimage.correlate1d(z.astype(float), [-1, 0, 1], axis=1), kernel, axis=0) / 240.0
    north = -ndimage.correlate1d(ndimage.correlate1d(z.astype(float), [-1, 0, 1], axis=0), kernel, axis=1) / 240.0
    length = np.sqrt(1.0 + east**2 + north**2)
    total = [ndimage.uniform_filter(part / length, 9) for part in (-east, -north, np.ones_like(east))]
    expected = 1.0 - np.sqrt(sum(part**2 for part in total))
    inner = (slice(5, -5), slice(5, -5))
    np.testing.assert_allclose(roughness(z, SQUARE)[inner], expected[inner], atol=1e-7)


def test_roughness_is_none_on_planes_and_large_on_a_saw() -> None:
    smooth = roughness(plane((21, 21), slope=40.0, azimuth=77.0), SQUARE)
    assert smooth[4:-4, 4:-4] == pytest.approx(0.0, abs=1e-12)
    saw = np.zeros((21, 21), np.float32)
    saw[:, ::4], saw[:, 2::4] = 60.0, -60.0
    # East slopes alternate between -63.4, 63.4 degrees (and none on crests): a mean normal far shorter than 1.
    assert roughness(saw, SQUARE)[10, 10] > 0.2


@pytest.mark.parametrize("azimuth", [0.0, 90.0])
def test_standard_deviations_of_a_plane_and_a_ramp_that_bends(azimuth: float) -> None:
    """Nine equal steps s have the standard deviation s sqrt(20 / 3); a plane has no residual."""
    z = plane((41, 41), slope=20.0, azimuth=azimuth)
    step, inner = 30.0 * np.tan(np.radians(20.0)), (slice(8, -8), slice(8, -8))
    assert elevation_std(z, SQUARE)[inner] == pytest.approx(step * np.sqrt(20.0 / 3.0), rel=1e-5)
    assert residual_std(z, SQUARE)[inner] == pytest.approx(0.0, abs=1e-3)


def test_standard_deviations_equal_numpy() -> None:
    z = fractal((40, 50), seed=5)
    cells = windows(z, 4).reshape(40, 50, 81)
    np.testing.assert_allclose(elevation_std(z, SQUARE)[4:-4, 4:-4], cells.std(axis=2)[4:-4, 4:-4], rtol=1e-5)
    above = windows(z - np.nanmean(cells, axis=2), 4).reshape(40, 50, 81).std(axis=2)
    np.testing.assert_allclose(residual_std(z, SQUARE)[8:-8, 8:-8], above[8:-8, 8:-8], rtol=1e-3, atol=1e-4)


def test_what_may_stand_for_roughness_ignores_the_missing() -> None:
    z = holed((30, 40), 3)
    cells = windows(z, 4).reshape(30, 40, 81)
    known = np.isfinite(z) & (np.isfinite(cells).sum(axis=2) >= 40.5)
    expected = np.full(z.shape, np.nan)
    expected[known] = np.nanstd(cells[known], axis=1)
    np.testing.assert_allclose(elevation_std(z, SQUARE), expected, rtol=1e-4, atol=1e-3)


def test_surface_ratio_of_slopes() -> None:
    slope = np.array([[0.0, 60.0, np.nan]], np.float32)
    np.testing.assert_allclose(surface_ratio(slope), [[1.0, 2.0, np.nan]], rtol=1e-6)


@pytest.mark.parametrize("azimuth", [0.0, 90.0])
def test_local_range_of_a_plane_is_two_steps(azimuth: float) -> None:
    ranges = local_range(plane((9, 9), slope=30.0, azimuth=azimuth))
    assert ranges[1:-1, 1:-1] == pytest.approx(60.0 * np.tan(np.radians(30.0)), abs=1e-3)
    assert np.isnan(ranges[0, 0]) and np.isfinite(ranges[0, 1:-1]).all()


def test_relief_of_a_plane_grows_with_its_side() -> None:
    z = plane((121, 121), slope=10.0, azimuth=90.0)
    assert relief(z, SQUARE)[60, 60] == pytest.approx(66 * 30.0 * np.tan(np.radians(10.0)), rel=1e-5)
    coarse = PixelSize(90.0, 90.0)
    z = plane((61, 61), slope=10.0, azimuth=90.0, pixel=coarse)
    assert relief(z, coarse)[30, 30] == pytest.approx(22 * 90.0 * np.tan(np.radians(10.0)), rel=1e-5)


def test_half_of_the_window_must_be_known() -> None:
    z = fractal((80, 80), seed=9)
    z[:, 40:] = np.nan
    for measure in (relief, roughness, elevation_std, residual_std, topographic_position):
        layer = measure(z, SQUARE)
        assert np.isfinite(layer[40, :40]).all()
        assert np.isnan(layer[:, 40:]).all()
    assert np.isnan(relief(z, SQUARE)[0, 0])


@pytest.mark.parametrize(("pixel_m", "sides"), [(30.0, (33, 4, 10)), (90.0, (11, 1, 3))])
def test_windows_in_metres(pixel_m: float, sides: tuple[int, int, int]) -> None:
    pixel = PixelSize(pixel_m, pixel_m)
    assert (half_side_px(2010.0, pixel), half_side_px(270.0, pixel), radius_px(300.0, pixel)) == sides


def test_pixel_size_refuses_degrees_and_rotation() -> None:
    assert pixel_size(grid_of((3, 4), pixel_m=90.0)) == (90.0, 90.0)
    with pytest.raises(ValueError, match="in metres"):
        pixel_size(grid_of((3, 4)).to_crs("EPSG:4326"))
    with pytest.raises(ValueError, match="north-up"):
        pixel_size(grid_of((3, 4)).rotate(10))
