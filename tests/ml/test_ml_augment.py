"""Turning a map must turn what is derived from it: checked on terrain itself, not on the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.core.manifest import InputChannel
from headscarp.ml.augment import oriented, oriented_stack, oriented_vector, shaken_otherwise, without_sources

NAMES = ("slope", "aspect_east", "aspect_north")
INPUTS = (
    InputChannel("slope", "dem"),
    InputChannel("ndvi", "ndvi"),
    InputChannel("lithology", "lithology", "code", 3),
    InputChannel("soil", "soil", "code", 3),
    InputChannel("pga", "shaking", "ln"),
)


def terrain_features(elevation: np.ndarray) -> np.ndarray:
    """Slope and downslope direction by numpy's own gradient; row 0 is in the north."""
    to_south, to_east = np.gradient(elevation, 30.0)
    steepness = np.hypot(to_south, to_east)
    return np.stack([np.degrees(np.arctan(steepness)), -to_east / steepness, to_south / steepness])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), element=st.integers(0, 7))
def test_features_of_turned_terrain_are_turned_features(seed: int, element: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:9, 0:12] * 30.0
    a, b = rng.normal(size=2)
    elevation = a * x + b * y + 3.0 * np.sin(x / 90.0 + rng.random()) + 5.0 * np.cos(y / 70.0)
    expected = terrain_features(oriented(elevation, element))
    np.testing.assert_allclose(oriented_stack(terrain_features(elevation), NAMES, element), expected, atol=1e-9)


def test_eight_elements_give_eight_maps() -> None:
    corner = np.zeros((3, 3))
    corner[0, 1], corner[0, 0] = 1.0, 2.0
    assert len({oriented(corner, k).tobytes() for k in range(8)}) == 8


@pytest.mark.parametrize(
    ("element", "expected"),
    [(0, (2.0, 1.0)), (1, (-1.0, 2.0)), (2, (-2.0, -1.0)), (3, (1.0, -2.0)), (4, (-2.0, 1.0)), (6, (2.0, -1.0))],
)
def test_vectors_by_hand(element: int, expected: tuple[float, float]) -> None:
    # A vector two to the east and one to the north, turned left, around, right, mirrored east-west, north-south.
    assert oriented_vector(2.0, 1.0, element) == expected


def test_half_a_vector_cannot_be_turned() -> None:
    with pytest.raises(ValueError, match="aspect_east"):
        oriented_stack(np.zeros((2, 4, 4), np.float32), ("slope", "aspect_east"), 1)


def test_sources_are_lost_whole_and_required_ones_never() -> None:
    stack, rng = np.ones((5, 4, 4), np.float32), np.random.default_rng(0)
    lost = np.zeros(5)
    for _ in range(3000):
        out = without_sources(stack, INPUTS, rng, chance=0.2, keep=frozenset({"slope", "pga"}))
        gone = np.isnan(out).reshape(5, -1)
        assert (gone.all(axis=1) == gone.any(axis=1)).all()
        lost += gone[:, 0]
    assert lost[0] == lost[4] == 0
    # Each of three with 0.2, all at once with 0.2: 0.36 of the time, standard error 0.009.
    np.testing.assert_allclose(lost[1:4] / 3000, 0.36, atol=0.035)
    assert np.isfinite(stack).all()


def test_the_shift_of_ground_motion_is_in_standard_deviations_of_its_logarithm() -> None:
    stack = np.full((5, 2, 2), 0.4, np.float32)
    ln_std = np.array([[0.5, 0.0], [np.nan, 1.0]], np.float32)
    out = shaken_otherwise(stack, [c.name for c in INPUTS], ln_std, 2.0)
    np.testing.assert_allclose(np.log(out[4] / 0.4), [[1.0, 0.0], [0.0, 2.0]], atol=1e-6)
    np.testing.assert_array_equal(out[:4], stack[:4])
