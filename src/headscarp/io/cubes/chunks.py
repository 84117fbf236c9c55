"""Decoded chunks kept in memory: overlapping windows of a network decode each chunk once, not seven times."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headscarp.core.tiling import Window

LIMIT_BYTES = 256 * 2**20


class ChunkCache:
    """Reads of Zarr arrays through the most recently used chunks; safe to use from several threads."""

    def __init__(self, chunk: int, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._chunk, self._limit = chunk, limit_bytes
        self._kept: OrderedDict[tuple[str, int, int], NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def read(self, name: str, array: Any, window: Window) -> NDArray[Any]:
        """The window, which must lie inside the array."""
        size = self._chunk
        wanted = [
            (name, y, x) for y in _span(window.y, window.height, size) for x in _span(window.x, window.width, size)
        ]
        with self._lock:
            found = {key: self._kept[key] for key in wanted if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
        lacking = [key for key in wanted if key not in found]
        if lacking:
            found |= self._fetch(array, lacking)
        out = np.empty((window.height, window.width), array.dtype)
        for (_, y, x), chunk in found.items():
            whole = Window(y * size, x * size, *chunk.shape)
            top, left = max(whole.y, window.y), max(whole.x, window.x)
            bottom = min(whole.y + whole.height, window.y + window.height)
            right = min(whole.x + whole.width, window.x + window.width)
            part = Window(top, left, bottom - top, right - left)
            out[part.within(window)] = chunk[part.within(whole)]
        return out

    def _fetch(self, array: Any, keys: list[tuple[str, int, int]]) -> dict[tuple[str, int, int], NDArray[Any]]:
        """One read over the rectangle of all lacking chunks."""
        size = self._chunk
        top, left = min(y for _, y, _ in keys), min(x for _, _, x in keys)
        bottom, right = max(y for _, y, _ in keys) + 1, max(x for _, _, x in keys) + 1
        values = array[top * size : bottom * size, left * size : right * size]
        fetched = {
            (name, y, x): values[(y - top) * size :, (x - left) * size :][:size, :size].copy() for name, y, x in keys
        }
        self._keep(fetched)
        return fetched

    def _keep(self, chunks: dict[tuple[str, int, int], NDArray[Any]]) -> None:
        with self._lock:
            for key, chunk in chunks.items():
                if key not in self._kept:
                    self._kept[key] = chunk
                    self._bytes += chunk.nbytes
            while self._bytes > self._limit and self._kept:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.nbytes


def _span(start: int, length: int, size: int) -> range:
    """Chunks that a stretch touches."""
    return range(start // size, (start + length - 1) // size + 1)
