from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.core.tiling import YX, CropPlan, Window, blocks, read_padded

SHAPES = st.builds(YX, st.integers(1, 300), st.integers(1, 300))


@given(SHAPES, st.integers(1, 128))
def test_blocks_cover_every_pixel_once(shape: YX, size: int) -> None:
    seen = np.zeros(shape, dtype=int)
    for window in blocks(shape, size):
        seen[window.slices] += 1
    assert (seen == 1).all()


@given(SHAPES, st.sampled_from([(64, 16), (448, 88), (32, 8), (40, 4)]))
@settings(max_examples=40)
def test_crop_cores_cover_every_pixel_once_and_start_on_multiples_of_four(shape: YX, sizes: tuple[int, int]) -> None:
    plan = CropPlan(*sizes)
    seen = np.zeros(shape, dtype=int)
    for core in plan.cores(shape):
        assert core.y % 4 == 0 and core.x % 4 == 0
        assert core.padded(plan.margin).height == plan.size
        seen[core.clipped(shape).slices] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(("size", "overlap"), [(448, 90), (448, 87), (88, 88), (64, 80)])
def test_plans_that_would_show_seams_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="stride"):
        CropPlan(size, overlap)


@given(SHAPES, st.integers(-50, 320), st.integers(-50, 320), st.integers(1, 80), st.integers(1, 80))
def test_padded_reading_equals_numpy_padding(shape: YX, y: int, x: int, height: int, width: int) -> None:
    array = np.arange(shape.y * shape.x, dtype=np.float32).reshape(1, *shape)
    big = np.pad(array, ((0, 0), (400, 400), (400, 400)), constant_values=np.nan)
    expected = big[:, 400 + y : 400 + y + height, 400 + x : 400 + x + width]
    np.testing.assert_array_equal(read_padded(array, Window(y, x, height, width)), expected)
