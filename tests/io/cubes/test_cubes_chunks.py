"""The chunk cache: the same values as without it, fewer reads, and a bound on memory; from several threads too."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.core.tiling import Window
from headscarp.errors import StoreUnavailable
from headscarp.io.cubes.chunks import ChunkCache
from headscarp.io.cubes.sharded import Band, ChunkIndex, Chunks


class Counted:
    """An array whose rows of chunks come together, and that remembers how often each was fetched."""

    def __init__(self, values: np.ndarray, name: str = "a", side: int = 16) -> None:
        self.values, self.name, self.dtype, self.side = values, name, values.dtype, side
        self.fetched: list[int] = []

    def band(self, chunk: ChunkIndex) -> Band:
        return Band(chunk.row, 0)

    def fetch(self, bands: Sequence[Band]) -> Chunks:
        rows = [band.row for band in bands]
        self.fetched += rows
        columns = range(-(-self.values.shape[1] // self.side))
        return {ChunkIndex(row, column): self._chunk(row, column) for row in rows for column in columns}

    def _chunk(self, row: int, column: int) -> np.ndarray:
        out = np.zeros((self.side, self.side), self.dtype)
        part = self.values[row * self.side :, column * self.side :][: self.side, : self.side]
        out[: part.shape[0], : part.shape[1]] = part
        return out


def read(cache: ChunkCache, source: Counted, window: Window) -> np.ndarray:
    out = np.empty((window.height, window.width), source.dtype)
    for at, values in cache.parts(source, window):
        out[at] = values
    return out


WINDOWS = st.builds(Window, st.integers(0, 90), st.integers(0, 60), height=st.integers(1, 10), width=st.integers(1, 10))


@settings(deadline=None)
@given(windows=st.lists(WINDOWS, max_size=30), limit=st.sampled_from([0, 2000, 10**6]))
def test_values_are_those_of_the_array(windows: list[Window], limit: int) -> None:
    values = np.arange(7000, dtype=np.float32).reshape(100, 70)
    cache, source = ChunkCache(limit_bytes=limit), Counted(values)
    for window in windows:
        np.testing.assert_array_equal(read(cache, source, window), values[window.slices])
        assert cache.held_bytes <= limit


def test_overlapping_windows_fetch_each_row_once() -> None:
    source, cache = Counted(np.zeros((128, 128), np.float32)), ChunkCache()
    for y in range(0, 120, 4):
        for x in range(0, 120, 4):
            read(cache, source, Window(y, x, 8, 8))
    assert sorted(source.fetched) == list(range(8))


def test_memory_is_bounded_and_variables_do_not_mix() -> None:
    cache = ChunkCache(limit_bytes=4 * 16 * 16 * 4)
    zeros, ones = Counted(np.zeros((64, 64), np.float32), "zeros"), Counted(np.ones((64, 64), np.float32), "ones")
    for _ in range(2):
        assert read(cache, zeros, Window(0, 0, 64, 64)).max() == 0
        assert read(cache, ones, Window(0, 0, 64, 64)).min() == 1
        assert cache.held_bytes <= 4 * 16 * 16 * 4
    assert len(zeros.fetched) > 4, "what was let go is fetched again"


def test_threads_that_need_the_same_chunk_fetch_it_once() -> None:
    values = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    source, cache, begin = Counted(values), ChunkCache(), Barrier(8)
    corners = np.random.default_rng(1).integers(0, 96, (8, 40, 2))

    def work(own: np.ndarray) -> bool:
        begin.wait()
        windows = [Window(int(y), int(x), 32, 32) for y, x in own]
        return all(np.array_equal(read(cache, source, window), values[window.slices]) for window in windows)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, corners))
    assert len(source.fetched) == len(set(source.fetched))
    assert cache.held_bytes == 128 * 128 * 4


class Stuck(Counted):
    """Fails at its first fetch, once it is told to."""

    def __init__(self) -> None:
        super().__init__(np.ones((16, 16), np.float32))
        self.asked, self.fail = Event(), Event()

    def fetch(self, bands: Sequence[Band]) -> Chunks:
        first = not self.asked.is_set()
        self.asked.set()
        if first:
            self.fail.wait(10)
            raise StoreUnavailable("away")
        return super().fetch(bands)


def test_those_who_wait_learn_of_a_failure_and_the_next_read_tries_again() -> None:
    source, cache, window = Stuck(), ChunkCache(), Window(0, 0, 4, 4)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read, cache, source, window)
        assert source.asked.wait(10)
        second = pool.submit(read, cache, source, window)
        while not second.running():
            pass
        source.fail.set()
        with pytest.raises(StoreUnavailable):
            first.result(10)
        with contextlib.suppress(StoreUnavailable):  # it came while the first one waited, or after
            assert second.result(10).min() == 1
    assert read(cache, source, window).min() == 1
