"""Distances against scipy's transform, shapely's geometry and arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy import ndimage

from headscarp.core.pci.distance import distance_to_lines, distance_to_mask
from headscarp.core.pci.pixels import PixelSize
from headscarp.core.types import Raster
from tests.core.pci.landforms import grid_of


@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.0005, 0.01, 0.3]),
    pixel=st.sampled_from([PixelSize(30.0, 30.0), PixelSize(90.0, 90.0), PixelSize(30.0016, 29.9972)]),
    limit=st.sampled_from([200.0, 5000.0]),
)
@settings(max_examples=40, deadline=None)
def test_distance_to_mask_equals_scipy(seed: int, share: float, pixel: PixelSize, limit: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((61, 83)) < share
    mask[rng.integers(61), rng.integers(83)] = True
    expected = np.minimum(ndimage.distance_transform_edt(~mask, sampling=pixel), limit)
    np.testing.assert_allclose(distance_to_mask(mask, pixel, limit_m=limit), expected, rtol=1e-6)


def test_an_empty_mask_is_as_far_as_the_limit() -> None:
    out = distance_to_mask(np.zeros((5, 7), bool), PixelSize(30.0, 30.0), limit_m=5000.0)
    assert (out == 5000.0).all()


def brute_force(lines: list[NDArray[np.float64]], grid: GeoBox, limit: float) -> Raster:
    x, y = grid.coordinates["x"].values, grid.coordinates["y"].values
    points = shapely.points(*np.meshgrid(x, y))
    shapes = [shapely.linestrings(line) if len(line) > 1 else shapely.points(line[0]) for line in lines]
    nearest = np.min([shapely.distance(points, shape) for shape in shapes], axis=0)
    return np.minimum(nearest, limit).astype(np.float32)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), limit=st.sampled_from([700.0, 200_000.0]))
@settings(max_examples=25, deadline=None)
def test_distance_to_lines_equals_geometry(seed: int, count: int, limit: float) -> None:
    """Lines inside, across and far outside the grid; single vertices and doubled ones too."""
    rng = np.random.default_rng(seed)
    grid = grid_of((45, 70))
    middle = np.array([300_000.0 + 35 * 30.0, 4_000_000.0 - 22 * 30.0])
    lines = [
        np.repeat(np.cumsum(rng.normal(0, 400.0, (rng.integers(1, 6), 2)), axis=0), rng.integers(1, 3), axis=0)
        + middle
        + rng.normal(0, 10.0 ** rng.uniform(2, 5.5), 2)
        for _ in range(count)
    ]
    np.testing.assert_allclose(
        distance_to_lines(lines, grid, limit_m=limit), brute_force(lines, grid, limit), rtol=1e-6, atol=1e-3
    )


def test_pruning_holds_over_many_tiles() -> None:
    """600 px is more than two coarse tiles: segments left out of one must come back in the next."""
    rng = np.random.default_rng(4)
    grid, corner = grid_of((600, 530)), np.array([300_000.0, 4_000_000.0])
    lines = [np.cumsum(rng.normal(0, 900.0, (30, 2)), axis=0) + corner + rng.uniform(-18e3, 18e3, 2) for _ in range(12)]
    ours = distance_to_lines(lines, grid, limit_m=6000.0)
    rows, columns = rng.integers(0, 600, 400), rng.integers(0, 530, 400)
    points = shapely.points(300_015.0 + 30.0 * columns, 3_999_985.0 - 30.0 * rows)
    nearest = np.min([shapely.distance(points, shapely.linestrings(line)) for line in lines], axis=0)
    np.testing.assert_allclose(ours[rows, columns], np.minimum(nearest, 6000.0), rtol=1e-6, atol=1e-3)


def test_no_lines_and_bad_lines() -> None:
    grid = grid_of((4, 4))
    assert (distance_to_lines([], grid, limit_m=200_000.0) == 200_000.0).all()
    with pytest.raises(ValueError, match="polyline 1"):
        distance_to_lines([np.zeros((2, 2)), np.array([[0.0, np.inf], [1.0, 1.0]])], grid, limit_m=1.0)
