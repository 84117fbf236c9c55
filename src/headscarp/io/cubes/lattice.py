"""Static layers of one UTM zone: a Zarr v3 group that fills up block by block and is never rewritten.

A block counts for a channel once its record, a small JSON object beside the group, names the channel;
the record is written after the data, so half a block is no block. Blocks never written take no space.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import zarr
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from zarr.errors import GroupNotFoundError

from headscarp.core.lattice import BlockIndex, ZoneLattice
from headscarp.core.pci.table import Row
from headscarp.core.types import Attributes
from headscarp.errors import AlreadyExists, Conflict, NotFound
from headscarp.io.cubes.layout import Layout
from headscarp.io.cubes.shards import put_shards
from headscarp.io.cubes.variables import Stored, storing
from headscarp.io.store import Store

ROOT = "lattice"
FORMAT = 1
"""Raise it whenever blocks of an older version must not be read any more."""
_ATTEMPTS = 30
_READERS = 16


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """One channel of a block."""

    sha256: str
    """Of the stored values."""
    valid: int
    """Land pixels with a value."""
    rejected: int
    """Pixels whose value was outside the row's valid range."""


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """What stands in a block, and where it came from."""

    land: int
    """Land pixels."""
    sea: int
    """Sea pixels; the elevation of all others is not known."""
    channels: Mapping[str, ChannelRecord] = field(default_factory=dict)
    sources: Attributes = field(default_factory=dict)
    """By layer name, with the files read."""

    def digest(self, channels: Iterable[str]) -> str:
        """sha256 over the values of some channels."""
        parts = sorted((name, self.channels[name].sha256) for name in channels)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def joined(self, other: BlockRecord) -> BlockRecord:
        """With the channels of another record of the same block, which win."""
        channels, sources = {**self.channels, **other.channels}, {**self.sources, **other.sources}
        return BlockRecord(other.land, other.sea, channels, sources)

    def to_json(self) -> bytes:
        """The record as JSON, keys sorted: equal records are equal bytes."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> BlockRecord:
        """Read what `to_json` wrote."""
        plain = json.loads(data)
        channels = {name: ChannelRecord(**found) for name, found in plain["channels"].items()}
        return cls(plain["land"], plain["sea"], channels, plain["sources"])


class LatticeGroup:
    """The blocks of one zone that were made by one recipe; safe to use from several threads."""

    def __init__(self, store: Store, key: str, zone: ZoneLattice, group: zarr.Group) -> None:
        self.store, self.key, self.zone = store, key, zone
        self._arrays: dict[str, Any] = {str(name): group[str(name)] for name in _channels(group)}

    @classmethod
    def open(cls, store: Store, key: str) -> LatticeGroup:
        """The group at `key`, to read. Raises NotFound if there is none."""
        with storing(key):
            group = _opened(store, key, read_only=True)
        if group is None:
            raise NotFound(f"store {store.url}: no lattice {key!r}")
        described: Any = group.attrs["headscarp:lattice"]
        return cls(store, key, ZoneLattice(described["epsg"], described["block"]), group)

    @classmethod
    def ensure(
        cls, store: Store, digest: str, zone: ZoneLattice, rows: Sequence[Row], recipe: Attributes
    ) -> LatticeGroup:
        """The group of this recipe and zone, made where there is none; any number of processes may do so at once.

        Args:
            store: where it is kept.
            digest: of the recipe.
            zone: lattice and block size.
            rows: static rows, each an array per channel.
            recipe: what the digest was taken of, for the attributes.
        """
        key = lattice_key(digest, zone)
        with storing(key):
            group = _opened(store, key, read_only=False)
            if group is None:
                _lay_out(store, key, zone, rows, {"digest": digest, **recipe})
                group = _opened(store, key, read_only=False)
        if group is None:
            raise NotFound(f"store {store.url}: lattice {key!r} vanished while it was made")
        return cls(store, key, zone, group)

    @property
    def channels(self) -> tuple[str, ...]:
        """All variables."""
        return tuple(self._arrays)

    def array(self, channel: str) -> Any:
        """The Zarr array of a channel over the whole zone, in stored values."""
        return self._arrays[channel]

    def record(self, index: BlockIndex) -> BlockRecord | None:
        """What stands in a block, None if nothing does."""
        try:
            return BlockRecord.from_json(self.store.read(self._record_key(index)))
        except NotFound:
            return None

    def records(self, indices: Iterable[BlockIndex]) -> dict[BlockIndex, BlockRecord]:
        """Records of those blocks that have one."""
        asked = list(indices)
        with ThreadPoolExecutor(_READERS, thread_name_prefix="lattice") as pool:
            found = zip(asked, pool.map(self.record, asked), strict=True)
            return {index: record for index, record in found if record is not None}

    def write(self, index: BlockIndex, values: Mapping[str, Stored]) -> None:
        """Store whole blocks of some channels; they do not count before `commit`."""
        shards = {
            f"{self.key}/{channel}/c/{index.row}/{index.column}": (self._arrays[channel], stored)
            for channel, stored in values.items()
        }
        put_shards(self.store, shards)

    def commit(self, index: BlockIndex, record: BlockRecord) -> BlockRecord:
        """Make the written channels count, beside those that did before; returns the record as it now stands."""
        retrying = Retrying(
            retry=retry_if_exception_type((AlreadyExists, Conflict)),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            stop=stop_after_attempt(_ATTEMPTS),
            reraise=True,
        )
        return retrying(self._commit, self._record_key(index), record)

    def _commit(self, key: str, record: BlockRecord) -> BlockRecord:
        try:
            data, tag = self.store.get(key)
        except NotFound:
            self.store.create(key, record.to_json())
            return record
        current = BlockRecord.from_json(data)
        joined = current.joined(record)
        if joined != current:
            self.store.replace(key, joined.to_json(), tag)
        return joined

    def _record_key(self, index: BlockIndex) -> str:
        return f"{self.key.removesuffix('.zarr')}/blocks/{index.key}.json"


def lattice_key(digest: str, zone: ZoneLattice) -> str:
    """Store key of the group of a recipe and zone."""
    return f"{ROOT}/{digest[:16]}/{zone.epsg}.zarr"


def _opened(store: Store, key: str, *, read_only: bool) -> zarr.Group | None:
    # The root object is written last, and a missing one is much quicker to notice than a missing group.
    if not store.exists(f"{key}/zarr.json"):
        return None
    try:
        return zarr.open_group(store.zarr(key, read_only=read_only), mode="r" if read_only else "r+", zarr_format=3)
    except (GroupNotFoundError, FileNotFoundError):
        return None


def _channels(group: zarr.Group) -> Sequence[str]:
    names: Any = group.attrs["headscarp:channels"]
    return tuple(names)


def _lay_out(store: Store, key: str, zone: ZoneLattice, rows: Sequence[Row], recipe: Attributes) -> None:
    """Write metadata and coordinates; equal recipes write equal bytes, so races do no harm."""
    named = {"epsg": zone.epsg, "block": zone.block, "format": FORMAT}
    channels = [channel for row in rows for channel in row.outputs]
    about = {"title": f"Static landslide control indicators of UTM zone EPSG:{zone.epsg}"}
    layout = Layout.of(
        tuple(rows),
        zone.whole,
        about | {"headscarp:channels": channels, "headscarp:lattice": named, "headscarp:recipe": recipe},
        shard=zone.block,
    )
    layout.consolidate()
    layout.write(store, key)
