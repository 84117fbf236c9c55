"""The chunk cache: the same values as without it, fewer reads, and a bound on memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.core.tiling import Window
from headscarp.io.cubes.chunks import ChunkCache


class Counted:
    """An array that remembers how many pixels were asked of it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype, self.pixels = values, values.dtype, 0

    def __getitem__(self, at: Any) -> np.ndarray:
        part = self.values[at]
        self.pixels += part.size
        return part


WINDOWS = st.builds(Window, st.integers(0, 90), st.integers(0, 60), height=st.integers(1, 10), width=st.integers(1, 10))


@settings(deadline=None)
@given(windows=st.lists(WINDOWS, max_size=30), limit=st.sampled_from([0, 2000, 10**6]))
def test_values_are_those_of_the_array(windows: list[Window], limit: int) -> None:
    values = np.arange(7000, dtype=np.float32).reshape(100, 70)
    cache = ChunkCache(16, limit_bytes=limit)
    for window in windows:
        found = cache.read("a", Counted(values), window)
        np.testing.assert_array_equal(found, values[window.slices])


def test_overlapping_windows_read_each_chunk_once() -> None:
    source = Counted(np.zeros((128, 128), np.float32))
    cache = ChunkCache(16)
    for y in range(0, 120, 4):
        for x in range(0, 120, 4):
            cache.read("a", source, Window(y, x, 8, 8))
    assert source.pixels == 128 * 128


def test_memory_is_bounded_and_variables_do_not_mix() -> None:
    cache = ChunkCache(16, limit_bytes=4 * 16 * 16 * 4)
    zeros, ones = Counted(np.zeros((64, 64), np.float32)), Counted(np.ones((64, 64), np.float32))
    for _ in range(2):
        assert cache.read("zeros", zeros, Window(0, 0, 64, 64)).max() == 0
        assert cache.read("ones", ones, Window(0, 0, 64, 64)).min() == 1
    assert cache._bytes <= 4 * 16 * 16 * 4
