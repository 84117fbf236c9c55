"""Arrays of the store read by rows of chunks: two requests where Zarr makes one for every chunk.

A shard ends with an index of its chunks, which is read once. The chunks of a row lie next to each
other, so one request brings them all, and those of the rows below with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple, Protocol

import google_crc32c
import numpy as np
from numcodecs import Blosc  # type: ignore[import-untyped]
from numpy.typing import NDArray

from headscarp.core.tiling import YX, Window
from headscarp.errors import Conflict, NotFound, StoreError
from headscarp.io.store import Store

ATTEMPTS = 4
"""At reading a shard that is rewritten meanwhile."""
_CHECKSUM_BYTES = 4
_BLOSC_HEADER_BYTES = 16
_EMPTY = np.uint64(2**64 - 1)


class ChunkIndex(NamedTuple):
    """Row and column of a chunk, counted over the whole array."""

    row: int
    column: int


class Band(NamedTuple):
    """Chunks that are fetched together: those of one row in one shard."""

    row: int
    """Of chunks, counted over the whole array."""
    shard: int
    """Column of shards."""


Chunks = dict[ChunkIndex, NDArray[Any]]
"""Stored values, (y, x), of whole chunks."""


class Source(Protocol):
    """An array that is read by chunks."""

    @property
    def name(self) -> str:
        """Of the array, in all of the store."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of stored values."""

    @property
    def side(self) -> int:
        """Pixels along the side of a chunk."""

    def band(self, chunk: ChunkIndex) -> Band:
        """What a chunk is fetched with."""

    def fetch(self, bands: Sequence[Band]) -> Chunks:
        """All chunks of some bands."""


@dataclass(frozen=True, slots=True)
class _Index:
    """Where the chunks of a shard lie in its object."""

    tag: str
    places: NDArray[np.uint64]
    """(row, column, 2): first byte and length."""


class ShardedArray:
    """An array that `shards.encode_shard` or Zarr itself has written; safe to use from several threads.

    What is remembered of a shard is where its chunks lie; if it is replaced by another, that is noticed.
    """

    def __init__(self, store: Store, name: str, array: Any, extent: Window | None = None) -> None:
        """Read the Zarr array `array`, which lies at key `name`.

        Args:
            store: where it is.
            name: its key.
            array: for shape, type and fill value.
            extent: the part that will be asked for, all if None; chunks beside it are not fetched along.
        """
        self.name = name
        self.dtype = np.dtype(array.dtype)
        self.side = int(array.chunks[0])
        self._store, self._fill = store, array.fill_value
        self._along = int(array.shards[0]) // self.side
        whole = extent or Window(0, 0, *array.shape)
        self._columns = range(whole.x // self.side, -(-(whole.x + whole.width) // self.side))
        self._empty: NDArray[Any] | None = None
        self._indices: dict[YX, _Index | None] = {}
        self._lock = Lock()

    def band(self, chunk: ChunkIndex) -> Band:
        """The row of chunks in the same shard."""
        return Band(chunk.row, chunk.column // self._along)

    def fetch(self, bands: Sequence[Band]) -> Chunks:
        """All chunks of some bands that the extent touches; one request for each shard.

        Raises:
            StoreError: a shard is damaged, or the store refuses.
            Conflict: a shard is replaced again and again.
        """
        rows: dict[YX, list[int]] = {}
        for band in bands:
            rows.setdefault(YX(band.row // self._along, band.shard), []).append(band.row)
        found: Chunks = {}
        for shard, asked in rows.items():
            found |= self._rows_of(shard, asked)
        return found

    def _rows_of(self, shard: YX, rows: Sequence[int]) -> Chunks:
        for attempt in range(ATTEMPTS):
            try:
                return self._read_rows(shard, self._index(shard), rows)
            except (Conflict, NotFound):
                with self._lock:
                    self._indices.pop(shard, None)
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _read_rows(self, shard: YX, index: _Index | None, rows: Sequence[int]) -> Chunks:
        """Chunks of some rows of a shard, from one stretch of its bytes."""
        chunks = list(self._chunks_of(shard, rows))
        places = {chunk: self._place(index, chunk) for chunk in chunks}
        stored = [place for place in places.values() if place is not None]
        if index is None or not stored:
            return {chunk: self._nothing() for chunk in chunks}
        first, last = min(start for start, _ in stored), max(start + length for start, length in stored)
        data, _ = self._store.part(self._key(shard), first, last - first, tag=index.tag)
        held = memoryview(data)
        return {
            chunk: self._nothing()
            if place is None
            else self._decoded(shard, held[place[0] - first : place[0] - first + place[1]])
            for chunk, place in places.items()
        }

    def _chunks_of(self, shard: YX, rows: Sequence[int]) -> Iterator[ChunkIndex]:
        left, right = shard.x * self._along, (shard.x + 1) * self._along
        for row in rows:
            for column in range(max(left, self._columns.start), min(right, self._columns.stop)):
                yield ChunkIndex(row, column)

    def _place(self, index: _Index | None, chunk: ChunkIndex) -> tuple[int, int] | None:
        """First byte and length of a chunk; None where all of it is the fill value."""
        if index is None:
            return None
        start, length = index.places[chunk.row % self._along, chunk.column % self._along]
        return None if start == _EMPTY else (int(start), int(length))

    def _index(self, shard: YX) -> _Index | None:
        """The index of a shard, read once; None where there is no such object."""
        with self._lock:
            if shard in self._indices:
                return self._indices[shard]
        found = self._read_index(shard)
        with self._lock:
            return self._indices.setdefault(shard, found)

    def _read_index(self, shard: YX) -> _Index | None:
        size = 16 * self._along**2
        try:
            data, tag = self._store.part(self._key(shard), -size - _CHECKSUM_BYTES, size + _CHECKSUM_BYTES)
        except NotFound:
            return None
        footer, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        if len(footer) != size or google_crc32c.value(footer) != int.from_bytes(checksum, "little"):
            raise self._damaged(shard, "the checksum of its index is wrong")
        return _Index(tag, np.frombuffer(footer, "<u8").reshape(self._along, self._along, 2))

    def _decoded(self, shard: YX, data: memoryview) -> NDArray[Any]:
        out = np.empty((self.side, self.side), self.dtype)
        header = np.frombuffer(data[:_BLOSC_HEADER_BYTES], "<u4")
        if header.size < 4 or (header[1], header[3]) != (out.nbytes, len(data)):
            raise self._damaged(shard, f"a chunk is cut off or not of {out.nbytes} bytes")
        try:
            Blosc().decode(data, out)
        except (RuntimeError, ValueError) as error:
            raise self._damaged(shard, str(error)) from error
        return out

    def _nothing(self) -> NDArray[Any]:
        """One chunk of the fill value, for all that hold nothing."""
        if self._empty is None:
            self._empty = np.full((self.side, self.side), self._fill, self.dtype)
        return self._empty

    def _key(self, shard: YX) -> str:
        return f"{self.name}/c/{shard.y}/{shard.x}"

    def _damaged(self, shard: YX, reason: str) -> StoreError:
        return StoreError(f"store {self._store.url}: {self._key(shard)!r} is damaged: {reason}")
