"""The data cube of one event: every channel on the event grid, in physical units.

Channels of the event are a Zarr v3 group of their own; static channels are read from the zone's
lattice at the grid's offset. The group's attributes name the lattice's blocks the cube is made of,
so what a cube holds never changes, however the lattice fills up later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import zarr
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from zarr.errors import GroupNotFoundError

from headscarp.core.pci.table import Table
from headscarp.core.tiling import YX, Window
from headscarp.core.types import Attributes, Stack
from headscarp.errors import InvalidInput, NotFound
from headscarp.io.cubes.chunks import LIMIT_BYTES, ChunkCache
from headscarp.io.cubes.layout import ROOT, Layout
from headscarp.io.cubes.sharded import ShardedArray
from headscarp.io.cubes.shards import put_shards
from headscarp.io.cubes.variables import SHARD, Encoding, storing
from headscarp.io.cubes.view import StaticView
from headscarp.io.store import Store

FORMAT = 2
LATTICE = "headscarp:lattice"
READERS = 4
"""Channels read at a time: on an object store a read is mostly waiting."""
_SWEEP_ROWS = 2
_MOST_BYTES = 2**30
"""Of chunks in memory, however wide the grid."""


class Cube:
    """An open cube; use `create` and `finish` to make one, `open` to read one."""

    def __init__(self, store: Store, group: zarr.Group, key: str, layout: Layout | None = None) -> None:
        self.key = key
        self._layout = layout
        self._store, self._group = store, group
        self._arrays: dict[str, Any] = {name: group[name] for name in self._attribute("headscarp:event_channels")}
        self._encodings = {name: Encoding.of_array(array) for name, array in self._arrays.items()}
        shape = YX(*(int(side) for side in self._attribute("spatial:shape")))
        self._static = StaticView.described(store, group.attrs.get(LATTICE), shape)
        self._sharded = {name: ShardedArray(store, f"{key}/{name}", array) for name, array in self._arrays.items()}
        self._cache = ChunkCache(limit_bytes=self._sweep_bytes(shape))
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="cube-read")

    @classmethod
    def create(cls, store: Store, key: str, grid: GeoBox, table: Table, attributes: Attributes) -> Cube:
        """An empty cube for the channels of `table`; an unfinished one at `key` is replaced.

        Raises:
            InvalidInput: a finished cube stands at `key`: cubes are immutable.
            StoreError: the store refuses or is full.
        """
        if _is_complete(store, key):
            raise InvalidInput(f"cube {key}: exists and is complete; a cube is never rewritten")
        store.delete(key)
        layout = Layout.of(table.of_event, grid, attributes | _table_attributes(table), shard=SHARD)
        layout.write(store, key)
        return cls(store, layout.group, key, layout)

    @classmethod
    def open(cls, store: Store, key: str) -> Cube:
        """A finished cube.

        Raises:
            NotFound: there is none at `key`, it was never finished, or its lattice is not there.
            InvalidInput: its format is not the one this version reads.
        """
        with storing(f"cube {key}"):
            group = _group(store, key)
        if group is None:
            raise NotFound(f"store {store.url}: no cube {key!r}")
        if group.attrs.get("headscarp:complete") is not True:
            raise NotFound(f"store {store.url}: cube {key!r} was never finished")
        if group.attrs.get("headscarp:cube_format") != FORMAT:
            found = group.attrs.get("headscarp:cube_format")
            raise InvalidInput(f"store {store.url}: cube {key!r}: expected format {FORMAT}, found {found}")
        return cls(store, group, key)

    @property
    def grid(self) -> GeoBox:
        """The event grid."""
        height, width = (int(v) for v in self._attribute("spatial:shape"))
        return GeoBox(wh_(width, height), Affine(*self._attribute("spatial:transform")), self._attribute("proj:code"))

    @property
    def channels(self) -> tuple[str, ...]:
        """All variables, those that are missing throughout included."""
        return tuple(self._attribute("headscarp:channels"))

    @property
    def attributes(self) -> Attributes:
        """Everything that is said about the cube: lineage, sources, gaps, fractions."""
        return dict(self._group.attrs)

    @property
    def missing(self) -> Mapping[str, str]:
        """Channels without any value, and why."""
        missing: Any = self._group.attrs.get("headscarp:missing", {})
        return dict(missing)

    def write(self, window: Window, values: Mapping[str, np.ndarray]) -> None:
        """Write one whole shard of some channels of the event: float32, or uint8 for class codes.

        Raises:
            ValueError: the window is more or less than a shard, or what of it lies on the grid.
        """
        whole = Window(window.y // SHARD * SHARD, window.x // SHARD * SHARD, SHARD, SHARD)
        if whole.clipped(YX(*self.grid.shape)) != window:
            raise ValueError(f"cube {self.key}: {window} is not aligned with shards of {SHARD} pixels")
        place = f"c/{window.y // SHARD}/{window.x // SHARD}"
        shards = {
            f"{self.key}/{channel}/{place}": (self._arrays[channel], self._encodings[channel].pack(array))
            for channel, array in values.items()
        }
        put_shards(self._store, shards)

    def finish(self, attributes: Attributes) -> Cube:
        """Add attributes, consolidate the metadata and mark the cube complete; returns it as readers see it."""
        if self._layout is None:
            raise InvalidInput(f"cube {self.key}: is complete; a cube is never rewritten")
        self._group.attrs.update({**attributes, "headscarp:complete": True})
        self._layout.consolidate()
        self._layout.write_root(self._store, self.key)
        return Cube(self._store, self._layout.group, self.key)

    def read(self, channels: Sequence[str], window: Window) -> Stack:
        """(channel, y, x) of a window that may reach outside the grid.

        Class codes become floats; NaN stands outside the grid, for unknown codes, where a channel has no value,
        and on blocks that the cube was made without.

        Raises:
            InvalidInput: the cube has no such channel.
            StoreError, StoreUnavailable: the store refuses, or is away.
        """
        unknown = [c for c in channels if c not in self.channels]
        if unknown:
            raise InvalidInput(f"cube {self.key}: no channels {unknown}; it has {', '.join(self.channels)}")
        out = np.full((len(channels), window.height, window.width), np.nan, np.float32)
        inside = window.clipped(YX(*self.grid.shape))
        if inside.height <= 0 or inside.width <= 0:
            return out
        missing = self.missing
        present = [(target, name) for target, name in zip(out, channels, strict=True) if name not in missing]
        targets = [(target[inside.within(window)], name) for target, name in present]
        reads = [self._readers.submit(self._read_into, target, name, inside) for target, name in targets]
        with storing(f"cube {self.key}"):
            for read in reads:
                read.result()
        return out

    def _read_into(self, target: np.ndarray, channel: str, inside: Window) -> None:
        """Fill a target of the window's shape, which holds NaN."""
        if channel in self._arrays:
            for at, stored in self._cache.parts(self._sharded[channel], inside):
                self._encodings[channel].unpack_to(target[at], stored)
        elif self._static is not None:
            self._static.read_into(target, channel, inside, self._cache)

    def _sweep_bytes(self, shape: YX) -> int:
        """What windows in row-major order have in use: of all channels, the rows of chunks that one row of them spans.

        With less, each window would fetch what the window before it has just let go.
        """
        arrays = [*self._sharded.values(), *(self._static.arrays.values() if self._static else ())]
        row_bytes = (array.side * (shape.x + 2 * array.side) * array.dtype.itemsize for array in arrays)
        rows: int = _SWEEP_ROWS * sum(row_bytes)
        return min(max(rows, LIMIT_BYTES), _MOST_BYTES)

    def _attribute(self, name: str) -> Any:
        return self._group.attrs[name]


def _group(store: Store, key: str) -> zarr.Group | None:
    # A missing root is much quicker to notice than a missing group.
    if not store.exists(f"{key}/{ROOT}"):
        return None
    try:
        return zarr.open_group(store.zarr(key, read_only=True), mode="r", zarr_format=3)
    except (GroupNotFoundError, FileNotFoundError):
        return None


def _is_complete(store: Store, key: str) -> bool:
    group = _group(store, key)
    return group is not None and group.attrs.get("headscarp:complete") is True


def _table_attributes(table: Table) -> Attributes:
    named = {"name": table.name, "version": table.version, "digest": table.digest}
    return {
        "headscarp:cube_format": FORMAT,
        "headscarp:complete": False,
        "headscarp:table": named,
        "headscarp:channels": list(table.channels),
        "headscarp:event_channels": [channel for row in table.of_event for channel in row.outputs],
    }
