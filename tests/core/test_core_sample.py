"""The sample of an event's windows: spread over the event, where there is data, the same for everyone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.sample import MOST_WINDOWS, gate_sample, gate_windows
from headscarp.core.tiling import YX, Window

sizes = st.integers(1, 700)


@given(sizes, sizes, st.sampled_from([32, 64, 128]))
def test_windows_cover_the_grid_and_reach_past_it_only_where_it_is_smaller(height: int, width: int, side: int) -> None:
    found = gate_windows(YX(height, width), side, lambda _: True, limit=10_000)
    assert len(found) == len(set(found)) == -(-height // side) * -(-width // side)
    seen = np.zeros((max(height, side), max(width, side)), bool)
    for window in found:
        assert (window.height, window.width) == (side, side)
        assert 0 <= window.y <= max(0, height - side)
        assert 0 <= window.x <= max(0, width - side)
        seen[window.slices] = True
    assert seen.all()


@pytest.mark.parametrize("columns", [34, 53, 55, 89])
def test_the_first_ones_lie_far_apart(columns: int) -> None:
    found = gate_windows(YX(53 * 128, columns * 128), 128, lambda _: True)
    assert len(found) == MOST_WINDOWS
    centres = np.array([((w.y + 64) / (53 * 128), (w.x + 64) / (columns * 128)) for w in found])
    # Of 24 windows every quarter of the event has some: 6 if they were spread perfectly.
    quarters = np.bincount((centres[:, 0] > 0.5) * 2 + (centres[:, 1] > 0.5), minlength=4)
    assert quarters.min() >= 4
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9 * np.eye(len(found))
    assert gaps.min() > 0.05


def test_only_windows_with_data_count_and_no_more_are_asked_than_needed() -> None:
    asked: list[Window] = []

    def east(window: Window) -> bool:
        asked.append(window)
        return window.x >= 1000

    found = gate_windows(YX(2000, 2000), 64, east, limit=10)
    assert len(found) == 10
    assert all(window.x >= 1000 for window in found)
    assert asked[-1] == found[-1]
    assert len(asked) < 40


def test_where_nothing_holds_data_one_window_stands_for_the_event() -> None:
    assert len(gate_windows(YX(300, 300), 64, lambda _: False)) == 1


def test_a_sample_in_memory_needs_what_the_model_requires_and_shaking() -> None:
    stack = np.ones((3, 128, 128), np.float32)
    stack[2, :64] = 0.01  # weak
    stack[0, 64:, :64] = np.nan  # no slope
    stack[1] = np.nan  # not required
    (window,) = gate_sample(stack, ("slope", "twi", "pga"), {"slope", "pga"}, 64)
    np.testing.assert_array_equal(window, stack[:, 64:, 64:])
    alone = list(gate_sample(stack[:1], ("slope",), {"slope"}, 64))
    assert len(alone) == 3
