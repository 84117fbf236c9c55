"""Decoded chunks kept in memory: overlapping windows of a network fetch each chunk once, not seven times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any, NamedTuple

from numpy.typing import NDArray

from headscarp.core.tiling import Window
from headscarp.io.cubes.sharded import Band, ChunkIndex, Chunks, Source

LIMIT_BYTES = 256 * 2**20


class Part(NamedTuple):
    """What of a window one chunk holds."""

    at: tuple[slice, slice]
    """Rows and columns of the window."""
    values: NDArray[Any]
    """Stored values, (y, x)."""


class ChunkCache:
    """The most recently used chunks of any number of arrays; safe to use from several threads.

    What several threads need at once is fetched by one of them, and the others wait for it.
    """

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit, self._bytes = limit_bytes, 0
        self._kept: OrderedDict[tuple[str, ChunkIndex], NDArray[Any]] = OrderedDict()
        self._awaited: dict[tuple[str, Band], Future[Chunks]] = {}
        self._lock = Lock()

    @property
    def held_bytes(self) -> int:
        """Memory in use."""
        return self._bytes

    def parts(self, source: Source, window: Window) -> Iterator[Part]:
        """The window, which must lie inside the array, chunk by chunk. Raises as `Source.fetch`."""
        side = source.side
        for chunk, values in self._chunks(source, list(_chunks_under(window, side))).items():
            whole = Window(chunk.row * side, chunk.column * side, side, side)
            top, left = max(whole.y, window.y), max(whole.x, window.x)
            bottom = min(whole.y + side, window.y + window.height)
            right = min(whole.x + side, window.x + window.width)
            part = Window(top, left, bottom - top, right - left)
            yield Part(part.within(window), values[part.within(whole)])

    def _chunks(self, source: Source, wanted: Sequence[ChunkIndex]) -> Chunks:
        """Chunks that are kept; then those nobody fetches yet; then those that others are fetching."""
        found: Chunks = {}
        own: dict[Band, Future[Chunks]] = {}
        others: dict[ChunkIndex, Future[Chunks]] = {}
        with self._lock:
            for chunk in wanted:
                band = source.band(chunk)
                if (source.name, chunk) in self._kept:
                    self._kept.move_to_end((source.name, chunk))
                    found[chunk] = self._kept[source.name, chunk]
                elif band not in own and (source.name, band) in self._awaited:
                    others[chunk] = self._awaited[source.name, band]
                elif band not in own:
                    own[band] = self._awaited[source.name, band] = Future()
        if own:
            fetched = self._fetched(source, own)
            found |= {chunk: fetched[chunk] for chunk in wanted if source.band(chunk) in own and chunk not in found}
        return found | {chunk: awaited.result()[chunk] for chunk, awaited in others.items()}

    def _fetched(self, source: Source, own: dict[Band, Future[Chunks]]) -> Chunks:
        """Fetch bands, and tell whoever waits for them."""
        try:
            chunks = source.fetch(list(own))
        except BaseException as error:
            self._settle(source.name, own, {})
            for awaited in own.values():
                awaited.set_exception(error)
            raise
        self._settle(source.name, own, chunks)
        for awaited in own.values():
            awaited.set_result(chunks)
        return chunks

    def _settle(self, name: str, own: Iterable[Band], chunks: Chunks) -> None:
        """Keep chunks, the longest unused ones let go for them; nobody is to wait for `own` any more."""
        with self._lock:
            for chunk, values in chunks.items():
                if (name, chunk) not in self._kept:
                    self._kept[name, chunk] = values
                    self._bytes += values.nbytes
            for band in own:
                del self._awaited[name, band]
            while self._bytes > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.nbytes


def _chunks_under(window: Window, side: int) -> Iterator[ChunkIndex]:
    """Chunks that a window touches."""
    for row in range(window.y // side, (window.y + window.height - 1) // side + 1):
        for column in range(window.x // side, (window.x + window.width - 1) // side + 1):
            yield ChunkIndex(row, column)
