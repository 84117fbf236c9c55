"""Terrain attributes of real mountains and an island against xarray-spatial, scipy and least squares.

Every tolerance is far below what the data can carry, and above the rounding of the two programs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from headscarp.core.pci.kernels import KERNELS
from headscarp.core.pci.pixels import PixelSize
from tests.core.pci.real_terrain import PLACES, RealTerrain, real_terrain

Field = NDArray[np.float64]
FLAT = np.tan(np.radians(1.0))
NEAR_FLAT = 1e-4
"""Gradients this close to the one of flat ground may fall on either side of it."""


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, shared_data: Path) -> RealTerrain:
    return real_terrain(shared_data, request.param)


def derived(kernel: str, place: RealTerrain) -> dict[str, NDArray[np.float32]]:
    return dict(KERNELS[kernel].function({"elevation": place.elevation}, place.grid))


def by_xarray_spatial(place: RealTerrain) -> tuple[Field, Field]:
    """Slope and downslope azimuth in degrees, Horn's differences in single precision."""
    from xrspatial import aspect, slope

    rows, columns = place.elevation.shape
    x, y = np.arange(columns) * place.pixel.x, -np.arange(rows) * place.pixel.y
    z = xr.DataArray(place.elevation, dims=("y", "x"), coords={"y": y, "x": x}, attrs={"res": place.pixel[::-1]})
    return slope(z).values.astype(float), aspect(z).values.astype(float)


def horn(place: RealTerrain) -> tuple[Field, Field]:
    """East and north gradient by Sobel filters in double precision, NaN at edges and voids."""
    z = place.elevation.astype(float)
    east = ndimage.sobel(z, axis=1) / (8.0 * place.pixel.x)
    north = -ndimage.sobel(z, axis=0) / (8.0 * place.pixel.y)
    for gradient in (east, north):
        gradient[[0, -1], :] = gradient[:, [0, -1]] = np.nan
    return east, north


def test_slope(place: RealTerrain) -> None:
    """2e-3 degrees: xarray-spatial sums 4 elevations in float32 (3e-4 m over 240 m); 2e-5 in double precision."""
    ours = derived("terrain", place)["slope"]
    theirs, _ = by_xarray_spatial(place)
    gradient = np.hypot(*horn(place))
    known = np.isfinite(theirs)
    assert known.mean() > 0.5
    assert np.abs(ours - theirs)[known].max() < 2e-3
    assert np.abs(ours - np.degrees(np.arctan(gradient)))[np.isfinite(gradient)].max() < 2e-5


def test_aspect(place: RealTerrain) -> None:
    """0.1 degrees where there is a slope of 1 degree: float32 moves so faint a gradient by 1e-5 of 0.017."""
    out = derived("terrain", place)
    _, azimuth = by_xarray_spatial(place)
    east, north = horn(place)
    steep = np.hypot(east, north) > FLAT + NEAR_FLAT
    flat = np.hypot(east, north) < FLAT - NEAR_FLAT
    assert steep.sum() > 100_000
    turn = np.degrees(np.arctan2(out["aspect_east"], out["aspect_north"])) - azimuth
    assert np.abs((turn[steep] + 180.0) % 360.0 - 180.0).max() < 0.1
    length = np.hypot(east, north)[steep]
    np.testing.assert_allclose(out["aspect_east"][steep], -east[steep] / length, atol=1e-5)
    np.testing.assert_allclose(out["aspect_north"][steep], -north[steep] / length, atol=1e-5)
    assert not out["aspect_east"][flat].any() and not out["aspect_north"][flat].any()


def quadratic(z: Field, pixel: PixelSize) -> tuple[Field, ...]:
    """p, q, r, s, t of the surface fitted to each 3 x 3 patch by least squares."""
    y, x = np.mgrid[1:-2:-1, -1:2].astype(float)
    x, y = x.ravel() * pixel.x, y.ravel() * pixel.y
    design = np.column_stack([x, y, x * x / 2, x * y, y * y / 2, np.ones(9)])
    solution = np.linalg.lstsq(design, np.eye(9), rcond=None)[0]
    patches = np.lib.stride_tricks.sliding_window_view(z, (3, 3))
    fitted = np.einsum("kij,yxij->kyx", solution[:5].reshape(5, 3, 3), patches)
    return tuple(np.pad(coefficient, 1, constant_values=np.nan) for coefficient in fitted)


def test_curvature(place: RealTerrain) -> None:
    """2e-3 of 0.01 / m: least squares over a window whose elevations differ by 1e-13 of themselves."""
    z = place.elevation.astype(float)
    smooth = ndimage.gaussian_filter(z, 1.0, radius=3)
    for edge in (slice(None, 3), slice(-3, None)):
        smooth[edge, :] = smooth[:, edge] = np.nan
    p, q, r, s, t = quadratic(smooth, place.pixel)
    g = np.where(p**2 + q**2 == 0.0, 1e-300, p**2 + q**2)
    plan = -100.0 * (q**2 * r - 2 * p * q * s + p**2 * t) / (g * np.sqrt(1 + g))
    profile = -100.0 * (p**2 * r + 2 * p * q * s + q**2 * t) / (g * (1 + g) ** 1.5)
    out = derived("terrain", place)
    steep, flat = np.sqrt(g) > FLAT + NEAR_FLAT, np.sqrt(g) < FLAT - NEAR_FLAT
    assert steep.sum() > 100_000
    for channel, expected in (("plan_curvature", plan), ("profile_curvature", profile)):
        np.testing.assert_array_equal(np.isnan(out[channel]), np.isnan(g), err_msg=channel)
        np.testing.assert_allclose(out[channel][steep], np.clip(expected, -10, 10)[steep], rtol=1e-4, atol=2e-3)
        assert not out[channel][flat].any(), channel
    # Both together are the Laplacian, whatever the frame they are taken in.
    np.testing.assert_allclose((plan * np.sqrt(1 + g) + profile * (1 + g) ** 1.5)[steep], -100 * (r + t)[steep])


def odd_pixels(metres: float, pixel: PixelSize) -> int:
    """The odd number of pixels that is nearest to a length."""
    sides = np.arange(3, 201, 2)
    return int(sides[np.abs(sides * pixel.x - metres).argmin()])


def half_known(valid: NDArray[np.bool_], footprint: Field) -> NDArray[np.bool_]:
    """Where at least half of a window around a known pixel is known."""
    cells = ndimage.correlate(valid.astype(np.int32), footprint.astype(np.int32), mode="constant")
    return np.asarray(valid & (cells >= 0.5 * footprint.sum()))


def test_relief(place: RealTerrain) -> None:
    """Exact: differences of the same two elevations."""
    z, side = place.elevation, odd_pixels(2010.0, place.pixel)
    gaps = np.isnan(z)
    high = ndimage.maximum_filter(np.where(gaps, -np.inf, z), side, mode="constant", cval=-np.inf)
    low = ndimage.minimum_filter(np.where(gaps, np.inf, z), side, mode="constant", cval=np.inf)
    cells = ndimage.uniform_filter((~gaps).astype(float), side, mode="constant") * side**2
    known = ~gaps & (np.rint(cells) >= 0.5 * side**2)
    expected = np.where(known, high - low, np.nan).astype(np.float32)
    np.testing.assert_array_equal(derived("relief", place)["relief"], expected)


def test_roughness(place: RealTerrain) -> None:
    """1e-6 of 1: sums of 81 unit vectors, taken in another order."""
    east, north = horn(place)
    side = odd_pixels(270.0, place.pixel)
    length = np.sqrt(1 + east**2 + north**2)
    window = np.full((side, side), 1.0 / side**2)
    parts = [ndimage.correlate(part / length, window, cval=np.nan, mode="constant") for part in (-east, -north, 1.0)]
    expected = 1.0 - np.sqrt(sum(part**2 for part in parts))
    known = np.isfinite(expected)
    ours = derived("roughness", place)["roughness"]
    assert known.sum() > 100_000
    assert np.abs(ours - expected)[known].max() < 1e-6
    assert np.nanmax(ours) < 0.5


def test_topographic_position(place: RealTerrain) -> None:
    """1 mm: elevations of up to 5,000 m are kept in float32 to 0.5 mm."""
    z = place.elevation
    radius = round(300.0 / place.pixel.x)
    line = np.arange(-radius, radius + 1.0)
    disc = (np.hypot(line[:, None], line) <= radius).astype(float)
    valid = ~np.isnan(z)
    total = ndimage.correlate(np.where(valid, z, 0.0).astype(float), disc, mode="constant")
    cells = ndimage.correlate(valid.astype(float), disc, mode="constant")
    known = half_known(valid, disc)
    expected = np.where(known, z - total / np.maximum(cells, 1), np.nan)
    np.testing.assert_allclose(derived("topographic_position", place)["tpi"], expected, atol=1e-3)
