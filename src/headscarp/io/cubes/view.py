"""Static channels under an event grid: chosen blocks of the zone's lattice, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from headscarp.core.lattice import BlockIndex
from headscarp.core.tiling import YX, Window
from headscarp.core.types import Attributes, Raster
from headscarp.io.cubes.chunks import ChunkCache
from headscarp.io.cubes.lattice import LatticeGroup
from headscarp.io.cubes.sharded import ShardedArray
from headscarp.io.cubes.variables import Encoding, storing
from headscarp.io.store import Store


class StaticView:
    """The blocks of the zone's lattice that a cube is made of."""

    def __init__(
        self,
        group: LatticeGroup,
        offset: YX,
        blocks: Iterable[BlockIndex],
        holes: Mapping[str, Iterable[BlockIndex]],
        shape: YX,
    ) -> None:
        """Look at `blocks` of `group` from a grid whose first pixel is at `offset`; channels go without their holes."""
        self._group, self._offset = group, offset
        self._blocks = frozenset(blocks)
        self._holes = {channel: frozenset(found) for channel, found in holes.items()}
        self._encodings = {name: Encoding.of_array(group.array(name)) for name in group.channels}
        extent = Window(offset.y, offset.x, *shape)
        self._arrays = {
            name: ShardedArray(group.store, f"{group.key}/{name}", group.array(name), extent) for name in group.channels
        }
        self._cache = ChunkCache()

    @classmethod
    def described(cls, store: Store, described: Any, shape: YX) -> StaticView | None:
        """What the attribute of a finished cube names; None while it is being built. Raises NotFound."""
        if described is None:
            return None
        holes = {name: map(BlockIndex.parse, keys) for name, keys in described["holes"].items()}
        blocks = map(BlockIndex.parse, described["blocks"])
        return cls(LatticeGroup.open(store, described["key"]), YX(*described["offset"]), blocks, holes, shape)

    @property
    def arrays(self) -> Mapping[str, ShardedArray]:
        """By channel."""
        return self._arrays

    def to_json(self, digests: Mapping[BlockIndex, str]) -> Attributes:
        """The attribute of a cube, with the digest of each block."""
        holes = {name: [index.key for index in sorted(found)] for name, found in sorted(self._holes.items()) if found}
        return {
            "key": self._group.key,
            "block": self._group.zone.block,
            "offset": list(self._offset),
            "blocks": {index.key: digests[index] for index in sorted(self._blocks)},
            "holes": holes,
        }

    def read(self, channel: str, window: Window) -> Raster:
        """(y, x) of a window of the event grid, NaN where there is no value."""
        out = np.full((window.height, window.width), np.nan, np.float32)
        with storing(self._group.key):
            self.read_into(out, channel, window, self._cache)
        return out

    def read_into(self, target: Raster, channel: str, window: Window, cache: ChunkCache) -> None:
        """Fill a target that holds NaN over a window of the event grid, block by block."""
        array, encoding = self._arrays[channel], self._encodings[channel]
        wanted = Window(window.y + self._offset.y, window.x + self._offset.x, window.height, window.width)
        for index in self._usable(channel, wanted):
            part = self._group.zone.part(index, wanted)
            within = target[part.within(wanted)]
            for at, stored in cache.parts(array, part):
                encoding.unpack_to(within[at], stored)

    def _usable(self, channel: str, wanted: Window) -> Iterator[BlockIndex]:
        holes = self._holes.get(channel, frozenset())
        for index in self._group.zone.blocks_over(wanted):
            if index in self._blocks and index not in holes:
                yield index
