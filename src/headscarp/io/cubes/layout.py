"""The layout of a Zarr group, made in memory: object by object in the store, it would be hundreds of requests."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import zarr
from odc.geo.geobox import GeoBox
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from headscarp.core.pci.table import Row, Table
from headscarp.core.types import Attributes
from headscarp.io.cubes.variables import create_variables, grid_attributes, write_coordinates
from headscarp.io.store import BINARY_TYPE, JSON_TYPE, Store

ROOT = "zarr.json"
_WRITERS = 8


@dataclass(slots=True)
class Layout:
    """A group with its metadata, coordinates and empty variables."""

    group: zarr.Group
    objects: dict[str, Any]
    """Buffers by key below the group's."""

    @classmethod
    def of(cls, rows: Table | tuple[Row, ...], grid: GeoBox, attributes: Attributes, *, shard: int) -> Layout:
        """Variables for all channels of the rows on a grid; `attributes` come beside those of the grid."""
        objects: dict[str, Any] = {}
        group = zarr.open_group(MemoryStore(objects), mode="w", zarr_format=3)
        group.attrs.update(grid_attributes(grid) | attributes)
        write_coordinates(group, grid)
        create_variables(group, rows, grid, shard=shard)
        return cls(group, objects)

    def consolidate(self) -> None:
        """Put the metadata of all variables into the root."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=ZarrUserWarning)
            self.group = zarr.consolidate_metadata(self.group.store)

    def write(self, store: Store, key: str) -> None:
        """Put all objects below `key`, the root last: without it there is no group."""

        def put(name: str) -> None:
            kind = JSON_TYPE if name.endswith(".json") else BINARY_TYPE
            store.put(f"{key}/{name}", self.objects[name].to_bytes(), kind)

        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="layout") as pool:
            list(pool.map(put, sorted(self.objects.keys() - {ROOT})))
        put(ROOT)

    def write_root(self, store: Store, key: str) -> None:
        """Put the root alone, over the one that stands there."""
        store.put(f"{key}/{ROOT}", self.objects[ROOT].to_bytes(), JSON_TYPE)
