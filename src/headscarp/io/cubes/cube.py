"""The data cube of one event: every channel on the event grid, in physical units, as a Zarr v3 group.

One variable per channel with CF attributes and `grid_mapping`, so that xarray and rioxarray open it
with its CRS; `proj:` and `spatial:` attributes of the GeoZarr conventions beside them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import zarr
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS
from zarr.codecs import BloscCodec
from zarr.errors import GroupNotFoundError, ZarrUserWarning

from headscarp.core.pci.table import Row, Table
from headscarp.core.tiling import YX, Window
from headscarp.core.types import Attributes, Stack
from headscarp.errors import InvalidInput, NotFound, StoreError, StoreUnavailable
from headscarp.io.cubes.chunks import ChunkCache
from headscarp.io.store import Store
from headscarp.tables.legends import LEGENDS

FORMAT = 1
CHUNK = 512
SHARD = 2048
READERS = 4
"""Channels read at a time: on an object store a read is mostly waiting."""
_STANDARD_NAMES = {"elevation": "height_above_geopotential_datum", "land": "land_binary_mask"}


class Cube:
    """An open cube; use `create` and `finish` to make one, `open` to read one."""

    def __init__(self, group: zarr.Group, key: str) -> None:
        self.key = key
        self._group = group
        names: Any = group.attrs["headscarp:channels"]
        self._arrays: dict[str, Any] = {name: group[name] for name in names}
        self._cache = ChunkCache(CHUNK)
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
        with _storing(key):
            group = zarr.open_group(store.zarr(key), mode="w", zarr_format=3)
            group.attrs.update(_grid_attributes(grid) | attributes | _table_attributes(table))
            _write_coordinates(group, grid)
            for channel in table.channels:
                _create_channel(group, channel, table[channel], grid)
        return cls(group, key)

    @classmethod
    def open(cls, store: Store, key: str) -> Cube:
        """A finished cube.

        Raises:
            NotFound: there is none at `key`, or it was never finished.
            InvalidInput: its format is not the one this version reads.
        """
        with _storing(key):
            group = _group(store, key)
        if group is None:
            raise NotFound(f"store {store.url}: no cube {key!r}")
        if group.attrs.get("headscarp:complete") is not True:
            raise NotFound(f"store {store.url}: cube {key!r} was never finished")
        if group.attrs.get("headscarp:cube_format") != FORMAT:
            found = group.attrs.get("headscarp:cube_format")
            raise InvalidInput(f"store {store.url}: cube {key!r}: expected format {FORMAT}, found {found}")
        return cls(group, key)

    @property
    def grid(self) -> GeoBox:
        """The event grid."""
        height, width = (int(v) for v in self._attribute("spatial:shape"))
        return GeoBox(wh_(width, height), Affine(*self._attribute("spatial:transform")), self._attribute("proj:code"))

    @property
    def channels(self) -> tuple[str, ...]:
        """All variables, those that are missing throughout included."""
        return tuple(self._arrays)

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
        """Write a whole block of some channels: float32, or uint8 for class codes.

        Raises:
            ValueError: the window does not begin and end at shard borders or the grid's edge.
        """
        shape = YX(*self.grid.shape)
        ends = (window.y + window.height) % SHARD and window.y + window.height != shape.y
        if (
            window.y % SHARD
            or window.x % SHARD
            or ends
            or (window.x + window.width) % SHARD not in {0, shape.x % SHARD}
        ):
            raise ValueError(f"cube {self.key}: {window} is not aligned with shards of {SHARD} pixels")
        with _storing(self.key):
            for channel, array in values.items():
                self._arrays[channel][window.slices] = array

    def finish(self, attributes: Attributes) -> Cube:
        """Add attributes, consolidate the metadata and mark the cube complete; returns it as readers see it."""
        with _storing(self.key):
            self._group.attrs.update({**attributes, "headscarp:complete": True})
        with _storing(self.key), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=ZarrUserWarning)
            group = zarr.consolidate_metadata(self._group.store)
        return Cube(group, self.key)

    def read(self, channels: Sequence[str], window: Window) -> Stack:
        """(channel, y, x) of a window that may reach outside the grid.

        Class codes become floats; NaN stands outside the grid, for unknown codes and where a channel has no value.

        Raises:
            InvalidInput: the cube has no such channel.
            StoreError, StoreUnavailable: the store refuses, or is away.
        """
        unknown = [c for c in channels if c not in self._arrays]
        if unknown:
            raise InvalidInput(f"cube {self.key}: no channels {unknown}; it has {', '.join(self._arrays)}")
        out = np.full((len(channels), window.height, window.width), np.nan, np.float32)
        inside = window.clipped(YX(*self.grid.shape))
        if inside.height <= 0 or inside.width <= 0:
            return out
        missing = self.missing
        present = [(target, name) for target, name in zip(out, channels, strict=True) if name not in missing]
        reads = [self._readers.submit(self._read_into, target, name, window, inside) for target, name in present]
        with _storing(self.key):
            for read in reads:
                read.result()
        return out

    def _read_into(self, target: np.ndarray, channel: str, window: Window, inside: Window) -> None:
        values = self._cache.read(channel, self._arrays[channel], inside)
        known = values != 0 if values.dtype == np.uint8 else True
        np.copyto(target[inside.within(window)], values, where=known)

    def _attribute(self, name: str) -> Any:
        return self._group.attrs[name]


@contextmanager
def _storing(key: str) -> Iterator[None]:
    """What disks and object stores say no with, as ours."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except (BotoCoreError, ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(f"cube {key}: {error}") from error
    except OSError as error:
        raise StoreError(f"cube {key}: {error}") from error


def _group(store: Store, key: str) -> zarr.Group | None:
    try:
        return zarr.open_group(store.zarr(key, read_only=True), mode="r", zarr_format=3)
    except (GroupNotFoundError, FileNotFoundError):
        return None


def _is_complete(store: Store, key: str) -> bool:
    group = _group(store, key)
    return group is not None and group.attrs.get("headscarp:complete") is True


def _grid_attributes(grid: GeoBox) -> Attributes:
    """Where the cube lies, after the GeoZarr conventions `proj:` and `spatial:`."""
    return {
        "Conventions": "CF-1.11",
        "proj:code": str(grid.crs),
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": [grid.shape.y, grid.shape.x],
        "spatial:transform": list(grid.transform)[:6],
        "spatial:bbox": list(grid.boundingbox.bbox),
        "spatial:registration": "pixel",
    }


def _table_attributes(table: Table) -> Attributes:
    named = {"name": table.name, "version": table.version, "digest": table.digest}
    return {
        "headscarp:cube_format": FORMAT,
        "headscarp:complete": False,
        "headscarp:table": named,
        "headscarp:channels": list(table.channels),
    }


def _write_coordinates(group: zarr.Group, grid: GeoBox) -> None:
    """Pixel centres, and the CRS as CF grid mapping."""
    crs = CRS.from_user_input(str(grid.crs))
    transform = grid.transform
    y = transform.f + (np.arange(grid.shape.y) + 0.5) * transform.e
    x = transform.c + (np.arange(grid.shape.x) + 0.5) * transform.a
    for name, values, axis in (("y", y, "Y"), ("x", x, "X")):
        array = group.create_array(name, data=values, dimension_names=(name,), chunks=values.shape)
        named = {"axis": axis, "units": "m", "standard_name": f"projection_{name}_coordinate"}
        array.attrs.update(named)
    reference = group.create_array("spatial_ref", shape=(), dtype="int64", dimension_names=())
    reference.attrs.update(crs.to_cf() | {"spatial_ref": crs.to_wkt(), "GeoTransform": _gdal_transform(transform)})


def _gdal_transform(t: Affine) -> str:
    return " ".join(f"{v!r}" for v in (t.c, t.a, t.b, t.f, t.d, t.e))


def _create_channel(group: zarr.Group, channel: str, row: Row, grid: GeoBox) -> None:
    """An empty variable; blocks that are never written take no space."""
    codes = row.kind == "categorical"
    array = group.create_array(
        channel,
        shape=(grid.shape.y, grid.shape.x),
        chunks=(CHUNK, CHUNK),
        shards=(SHARD, SHARD),
        dtype="uint8" if codes else "float32",
        fill_value=0 if codes else np.nan,
        dimension_names=("y", "x"),
        compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=1 if codes else 4),
    )
    array.attrs.update(_channel_attributes(channel, row, codes=codes))


def _channel_attributes(channel: str, row: Row, *, codes: bool) -> Attributes:
    described: Attributes = {
        "long_name": row.long_name,
        "units": "1" if row.units in {"code", "ln"} else row.units,
        "grid_mapping": "spatial_ref",
        # Named here too, so that xarray makes it a coordinate without being asked to.
        "coordinates": "spatial_ref",
        "headscarp:role": row.role,
        "headscarp:missing_means": row.missing,
        "references": row.cite,
    }
    if channel in _STANDARD_NAMES:
        described["standard_name"] = _STANDARD_NAMES[channel]
    if row.valid and not codes:
        described["valid_range"] = list(row.valid)
    if row.legend:
        legend = {0: "unknown", **LEGENDS.get(row.legend, {})}
        described["headscarp:legend"] = row.legend
        described["flag_values"] = list(legend)
        described["flag_meanings"] = " ".join(re.sub(r"[^\w-]+", "_", name).strip("_") for name in legend.values())
    return described
